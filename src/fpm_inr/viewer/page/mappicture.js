// The picture of a map on its canvas: all of it when something changes, coarser where that takes too
// long; only tiles that have come where nothing else is new.

import * as cameras from "./camera.js";
import { Draft } from "./draft.js";

const REST_MS = 120; // after which all pixels are drawn

export class MapPicture {
  #drawn = null; // what was shown last, but for tiles
  #resting = null; // until all pixels are drawn

  constructor(gl, image, source) {
    this.gl = gl;
    this.image = image;
    this.source = source;
    this.draft = new Draft(gl);
  }

  /** Whether every pixel is drawn. */
  get isWhole() {
    return this.#resting === null;
  }

  /** Draw all when next asked, whatever is new. */
  spoil() {
    this.#drawn = null;
  }

  /**
   * Show what is new.
   * @param {Object} how as of MapSource.paint
   * @param {{camera: Object, level: number, area: number[]}} place
   * @param {Object[]} fresh tiles that have come since
   */
  show(how, place, fresh) {
    const { width, height } = this.image;
    const drawn = JSON.stringify([how, place, width, height]);
    if (drawn !== this.#drawn) this.#draft(how, place);
    else if (this.isWhole && fresh.length > 0) {
      this.#begin();
      this.#paint(how, place, fresh);
    }
    this.#drawn = drawn;
  }

  /** Draw every pixel now. */
  draw(how, place) {
    clearTimeout(this.#resting);
    this.#resting = null;
    this.#begin();
    this.#drawAll(how, place);
  }

  /** Draw all, coarser where that takes too long; as soon as nothing changes, every pixel. */
  #draft(how, place) {
    const [kind, pixels] = [`${how.view} ${how.atDepth}`, this.#covered(place)];
    const step = this.draft.stepFor(kind, pixels);
    clearTimeout(this.#resting);
    this.#resting = null;
    this.draft.run(kind, step, pixels, () => this.#drawAll(how, place));
    if (step === 1) return;
    this.#resting = setTimeout(() => {
      this.#resting = null;
      if (this.gl.isContextLost()) return;
      this.draft.run(kind, 1, pixels, () => this.#drawAll(how, place));
    }, REST_MS);
  }

  #begin() {
    const { gl, image } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, image.width, image.height);
  }

  #drawAll(how, place) {
    const { gl } = this;
    gl.clearColor(0.055, 0.063, 0.075, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    this.#paint(how, place, null);
  }

  /** Draw tiles that lie where these do, or all. */
  #paint(how, { camera, level, area }, only) {
    const { width, height } = this.image;
    const clip = (at) => {
      const [x, y] = cameras.canvasPoint(camera, this.image, at);
      return [(2 * x) / width - 1, 1 - (2 * y) / height];
    };
    this.source.paint(level, area, clip, how, only);
  }

  /** Canvas pixels that show the field. */
  #covered({ camera, area: [x0, y0, x1, y1] }) {
    const { width, height } = this.source.field;
    const along = (low, high, side) => Math.max(Math.min(high, side) - Math.max(low, 0), 0);
    return along(x0, x1, width) * along(y0, y1, height) * camera.scale ** 2;
  }
}
