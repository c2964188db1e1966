// A map as a source of samples: each cell of the level shown from its tile, or a coarser one.

import {
  above, blocksIn, boxOf, boxOfBlock, placeIn, placeInBlock, shared, tilesIn,
} from "./atlas.js";
import { bindTextures, compile } from "./gl.js";
import { weightsAt } from "./heights.js";

const VIEWS = { amplitude: 0, phase: 1, depth: 2, colour: 3, samples: 4 };

export class MapSource {
  /**
   * @param {Pieces} pieces
   * @param {WebGLTexture} colours
   */
  constructor(gl, atlas, shaders, pieces, colours) {
    this.gl = gl;
    this.atlas = atlas;
    this.stock = pieces.tiles;
    this.depths = pieces.depths;
    this.colours = colours;
    this.channel = 0; // the one whose samples are taken
    const count = atlas.channels.length;
    this.program = compile(gl, shaders["map.vert"], shaders["map.frag"], { CHANNELS: count });
    const [height, width] = atlas.levels[0];
    this.field = {
      kind: atlas.planesUm ? "planes" : "map", planesUm: atlas.planesUm, zRange: atlas.zRange,
      width, height, pixelUm: atlas.pixelUm,
      amplitudeScale: atlas.channels[0].amplitudeScale,
      hasPhase: true, warnings: [],
    };
  }

  /** The tile that shows a cell: its own or the nearest coarser one that is here. */
  tileFor(cell) {
    for (let key = cell; key; key = above(this.atlas, key)) {
      const tile = this.stock.get(key);
      if (tile) return { key, tile };
    }
    return null;
  }

  /** Samples of a grid at the finest level, into a target; as the sources of fields. */
  draw({ z, atDepth = false }, grid, target) {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, target.framebuffer);
    const place = [...grid.corner, grid.width, grid.height];
    gl.viewport(...place);
    gl.enable(gl.SCISSOR_TEST); // nothing lies beyond the field
    gl.scissor(...place);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.disable(gl.SCISSOR_TEST);
    const { origin, across, down } = axesOf(grid);
    const size = [grid.width, grid.height];
    const clip = (place) => [across, down].map((axis, n) => {
      const along = axis[0] * (place[0] - origin[0]) + axis[1] * (place[1] - origin[1]);
      return (2 * along) / (axis[0] ** 2 + axis[1] ** 2) / size[n] - 1;
    });
    const corner = (i, j) => origin.map((at, n) => at + i * across[n] + j * down[n]);
    const corners = [[0, 0], [size[0], 0], [0, size[1]], size].map(([i, j]) => corner(i, j));
    const [x, y] = [0, 1].map((n) => corners.map((place) => place[n]));
    const area = [Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y)];
    this.paint(0, area, clip,
      { z, atDepth, view: "samples", range: [0, 1], cyclic: false, reference: 0, parts: null });
  }

  /**
   * Draw the cells of a level that an area touches.
   * @param {(place: number[]) => number[]} clip image pixels -> clip space
   * @param {?Object[]} only where these tiles lie; null: everywhere
   * @param {Object} how z, atDepth, view, range, cyclic, reference; parts, of a colour: linear sRGB
   *   of an intensity of 1 of every wavelength
   */
  paint(level, area, clip, how, only = null) {
    const { gl, program, atlas } = this;
    const { uniform } = program;
    gl.useProgram(program.program);
    bindTextures(gl, program, [
      [gl.TEXTURE_2D, this.colours, "colours"], [gl.TEXTURE_2D, this.colours, "depth"],
    ]);
    gl.activeTexture(gl.TEXTURE2);
    gl.uniform1i(uniform("planes"), 2);
    this.#tellHeights(how);
    gl.uniform1i(uniform("channel"), this.channel);
    gl.uniform1i(uniform("view"), VIEWS[how.view]);
    gl.uniform1i(uniform("cyclic"), how.cyclic ? 1 : 0);
    gl.uniform2f(uniform("range"), ...how.range);
    gl.uniform1f(uniform("reference"), how.reference);
    const needsDepth = how.atDepth || how.view === "depth";
    const fresh = only?.map((key) => boxOf(atlas, key));
    for (const cell of tilesIn(atlas, level, area)) {
      if (fresh && !fresh.some((box) => shared(box, boxOf(atlas, cell)))) continue;
      for (const { key, tile, box } of this.#shown(cell)) {
        gl.activeTexture(gl.TEXTURE2);
        gl.bindTexture(gl.TEXTURE_2D_ARRAY, tile.texture);
        if (needsDepth) this.#paintAtDepth(key, box, clip, how);
        else this.#piece(key, box, clip, null);
      }
    }
  }

  /** What shows a cell: its tile; or a coarser one, and over it the finer ones that are here. */
  #shown(cell) {
    const found = [];
    const coarse = this.tileFor(cell);
    const box = boxOf(this.atlas, cell);
    if (coarse) found.push({ ...coarse, box });
    if (coarse?.key.level === cell.level || cell.level === 0) return found;
    for (const key of tilesIn(this.atlas, cell.level - 1, box)) {
      const tile = this.stock.get(key);
      const part = tile && shared(box, boxOf(this.atlas, key));
      if (part) found.push({ key, tile, box: part });
    }
    return found;
  }

  /** Planes and weights of every wavelength at a height. */
  #tellHeights({ z, parts }) {
    const { gl, atlas } = this;
    const { uniform } = this.program;
    const [low, high] = atlas.zRange;
    const at = atlas.channels.map((channel) => ({ channel, ...weightsAt(channel, z) }));
    gl.uniform3iv(uniform("place"), at.flatMap(
      ({ channel, first }) => [channel.first, channel.planes, first]));
    gl.uniform4fv(uniform("weights"), at.flatMap(({ weights }) => weights));
    gl.uniform2fv(uniform("own"), at.flatMap(({ channel: { zRange } }) => {
      const width = zRange[1] - zRange[0] || 1;
      return [(low - zRange[0]) / width, (high - low) / width];
    }));
    gl.uniform3fv(uniform("part"), parts?.flat() ?? new Float32Array(3 * at.length));
  }

  /** Tiles of an area that are not here yet. */
  missing(level, area) {
    return tilesIn(this.atlas, level, area).filter((cell) => !this.stock.get(cell));
  }

  /** Piece by piece, each in one block of depth; where there is none yet, at the one height. */
  #paintAtDepth(key, box, clip, how) {
    const { gl, atlas } = this;
    for (const block of blocksIn(atlas, box)) {
      const depth = this.depths.get(block);
      if (!depth && how.view === "depth") continue;
      if (depth) {
        gl.activeTexture(gl.TEXTURE1);
        gl.bindTexture(gl.TEXTURE_2D, depth.texture);
      }
      const piece = shared(box, boxOfBlock(atlas, block));
      this.#piece(key, piece, clip, depth && placeInBlock(atlas, block, piece, depth));
    }
  }

  #piece(key, box, clip, inDepth) {
    const { gl } = this;
    const { uniform } = this.program;
    const [x0, y0, x1, y1] = box;
    const corners = [[x0, y0], [x1, y0], [x0, y1], [x1, y1]].flatMap(clip);
    gl.uniform2fv(uniform("corners"), corners);
    gl.uniform4f(uniform("inTile"), ...placeIn(this.atlas, key, box));
    gl.uniform4f(uniform("inDepth"), ...(inDepth ?? [0, 0, 0, 0]));
    gl.uniform1i(uniform("atDepth"), inDepth ? 1 : 0);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }
}

/** Origin and steps of a grid, which are at right angles; a row has a step down as well. */
function axesOf({ origin, stepX, stepY }) {
  if (stepY[0] !== 0 || stepY[1] !== 0) return { origin, across: stepX, down: stepY };
  const down = [-stepX[1], stepX[0]];
  return { origin: origin.map((at, n) => at - down[n] / 2), across: stepX, down };
}
