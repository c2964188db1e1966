// One source as it is shown: a quick coarse preview of what is visible, then full resolution tile by
// tile from the middle of the view.

import { dropTarget, makeTarget, makeTexture } from "./gl.js";
import { gridOf } from "./grid.js";

export const TILE = 128;
const PREVIEW_MS = 60;
const TILES_MS = 120;
const PREVIEW_SIDE = 1024;

export class Layer {
  constructor(gl, source, pace) {
    const { width, height } = source.field;
    this.gl = gl;
    this.source = source;
    this.pace = pace;
    this.full = makeTarget(gl, width, height);
    this.preview = { ...makeTarget(gl, 1, 1), origin: [0, 0], step: 1, used: [1, 1] };
    this.columns = Math.ceil(width / TILE);
    this.rows = Math.ceil(height / TILE);
    this.isReady = new Uint8Array(this.columns * this.rows);
    this.ready = makeTexture(gl, gl.TEXTURE_2D, gl.NEAREST);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.R8, this.columns, this.rows);
    this.shown = null; // the height that targets hold
    this.wanted = null;
  }

  /** Ask for a height: {z}, or {depth}. */
  want(height) {
    if (this.wanted?.z !== height.z || this.wanted?.depth !== height.depth) this.wanted = height;
  }

  /** Whether it holds another height than was asked for, or none. */
  get isBehind() {
    return this.shown === null || this.shown !== this.wanted;
  }

  /**
   * Start the next batch of work for what is visible, [x0, y0, x1, y1] in image pixels.
   * @returns {boolean} whether there was anything to do
   */
  step(visible) {
    const { width, height } = this.source.field;
    const seen = [
      Math.max(0, Math.floor(visible[0])), Math.max(0, Math.floor(visible[1])),
      Math.min(width, Math.ceil(visible[2])), Math.min(height, Math.ceil(visible[3])),
    ];
    if (!this.wanted || seen[0] >= seen[2] || seen[1] >= seen[3]) return false;
    if (this.shown !== this.wanted) {
      this.shown = this.wanted;
      this.isReady.fill(0);
      this.#uploadReady();
      this.#drawPreview(seen);
      return true;
    }
    const tiles = this.#missing(seen);
    if (this.#previewHolds(seen)) {
      if (this.preview.step === 1 || tiles.length === 0) return false;
    } else if (tiles.length > 0) {
      this.#drawPreview(seen);
      return true;
    } else return false;
    this.#drawTiles(tiles);
    return true;
  }

  #drawPreview(seen) {
    const { gl, preview, pace } = this;
    const { width, height } = this.source.field;
    const budget = Math.min(pace.samplesIn(PREVIEW_MS), PREVIEW_SIDE ** 2);
    const margin = seen.slice(2).map((end, axis) => (end - seen[axis]) / 8);
    let area = [
      Math.max(0, Math.floor(seen[0] - margin[0])), Math.max(0, Math.floor(seen[1] - margin[1])),
      Math.min(width, Math.ceil(seen[2] + margin[0])),
      Math.min(height, Math.ceil(seen[3] + margin[1])),
    ];
    if (width * height <= budget) area = [0, 0, width, height];
    const [x, y] = area;
    const size = [area[2] - x, area[3] - y];
    const step = Math.max(
      1, Math.ceil(Math.sqrt((size[0] * size[1]) / budget)),
      Math.ceil(Math.max(...size) / (2 * PREVIEW_SIDE)));
    const grid = gridOf(x, y, ...size, step);
    if (grid.width > preview.width || grid.height > preview.height) {
      dropTarget(gl, preview);
      Object.assign(preview, makeTarget(
        gl, Math.max(grid.width, preview.width), Math.max(grid.height, preview.height)));
    }
    Object.assign(preview, { origin: [x, y], step, area, used: [grid.width, grid.height] });
    pace.run(() => this.source.draw(this.shown, grid, preview));
  }

  #previewHolds(seen) {
    const area = this.preview.area;
    return area && area[0] <= seen[0] && area[1] <= seen[1] &&
      area[2] >= seen[2] && area[3] >= seen[3];
  }

  /** Tiles that are visible and not ready, the middle of the view first. */
  #missing(seen) {
    const middle = [(seen[0] + seen[2]) / 2, (seen[1] + seen[3]) / 2];
    const found = [];
    for (let row = Math.floor(seen[1] / TILE); row * TILE < seen[3]; row++) {
      for (let column = Math.floor(seen[0] / TILE); column * TILE < seen[2]; column++) {
        if (this.isReady[row * this.columns + column]) continue;
        const away = Math.hypot((column + 0.5) * TILE - middle[0], (row + 0.5) * TILE - middle[1]);
        found.push({ row, column, away });
      }
    }
    return found.sort((a, b) => a.away - b.away);
  }

  #drawTiles(tiles) {
    const { pace, full } = this;
    const { width, height } = this.source.field;
    const batch = tiles.slice(0, Math.max(1, Math.floor(pace.samplesIn(TILES_MS) / TILE ** 2)));
    pace.run(() => {
      for (const { row, column } of batch) {
        const [x, y] = [column * TILE, row * TILE];
        const size = [Math.min(TILE, width - x), Math.min(TILE, height - y)];
        this.source.draw(this.shown, gridOf(x, y, ...size, 1, [x, y]), full);
        this.isReady[row * this.columns + column] = 255;
      }
    });
    this.#uploadReady();
  }

  #uploadReady() {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.ready);
    gl.texSubImage2D(
      gl.TEXTURE_2D, 0, 0, 0, this.columns, this.rows, gl.RED, gl.UNSIGNED_BYTE, this.isReady);
  }
}
