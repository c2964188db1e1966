// A map as a source of samples: each cell of the level shown from its tile, or a coarser one.

import { above, boxOf, nameOf, placeIn, tilesIn } from "./atlas.js";
import { bindTextures, compile } from "./gl.js";
import { weightsAt } from "./heights.js";

const VIEWS = { amplitude: 0, phase: 1, samples: 4 };

export class MapSource {
  /** @param {Object} tables {colours: texture} */
  constructor(gl, atlas, shaders, stock, colours) {
    this.gl = gl;
    this.atlas = atlas;
    this.stock = stock;
    this.colours = colours;
    this.program = compile(gl, shaders["map.vert"], shaders["map.frag"]);
    const [height, width] = atlas.levels[0];
    this.field = {
      kind: atlas.planesUm ? "planes" : "map", planesUm: atlas.planesUm, zRange: atlas.zRange,
      width, height, pixelUm: atlas.pixelUm, amplitudeScale: atlas.amplitudeScale,
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
  draw({ z }, grid, target) {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, target.framebuffer);
    gl.viewport(grid.corner[0], grid.corner[1], grid.width, grid.height);
    const size = [grid.width, grid.height];
    const step = [grid.stepX[0], grid.stepY[1]];
    const clip = (place) =>
      place.map((value, axis) => (2 * (value - grid.origin[axis])) / step[axis] / size[axis] - 1);
    const end = size.map((count, axis) => grid.origin[axis] + step[axis] * count);
    this.paint(0, [...grid.origin, ...end], clip,
      { z, view: "samples", range: [0, 1], cyclic: false, reference: 0 });
  }

  /**
   * Draw the cells of a level that an area touches.
   * @param {(place: number[]) => number[]} clip image pixels -> clip space
   * @param {Object} how z, view, range, cyclic, reference
   */
  paint(level, area, clip, how) {
    const { gl, program, atlas } = this;
    const { uniform } = program;
    const { first, weights } = weightsAt(atlas, how.z);
    gl.useProgram(program.program);
    bindTextures(gl, program, [[gl.TEXTURE_2D, this.colours, "colours"]]);
    gl.activeTexture(gl.TEXTURE1);
    gl.uniform1i(uniform("planes"), 1);
    gl.uniform1i(uniform("first"), first);
    gl.uniform4f(uniform("weights"), ...weights);
    gl.uniform1i(uniform("view"), VIEWS[how.view]);
    gl.uniform1i(uniform("cyclic"), how.cyclic ? 1 : 0);
    gl.uniform2f(uniform("range"), ...how.range);
    gl.uniform1f(uniform("reference"), how.reference);
    const { width, height } = this.field;
    for (const cell of tilesIn(atlas, level, area)) {
      const shown = this.tileFor(cell);
      if (!shown) continue;
      const box = boxOf(atlas, cell);
      const [x0, y0, x1, y1] = box;
      const corners = [[x0, y0], [x1, y0], [x0, y1], [x1, y1]].flatMap(clip);
      gl.bindTexture(gl.TEXTURE_2D_ARRAY, shown.tile.texture);
      gl.uniform2fv(uniform("corners"), corners);
      gl.uniform4f(uniform("inTile"), ...placeIn(atlas, shown.key, box));
      gl.uniform4f(uniform("inField"), x0 / width, y0 / height, x1 / width, y1 / height);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    }
  }

  /** Names of the tiles of an area that are not here yet. */
  missing(level, area) {
    return tilesIn(this.atlas, level, area).filter((cell) => !this.stock.get(cell)).map(nameOf);
  }
}
