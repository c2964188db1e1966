// Numbers from a source, read back from the graphics card.

import { dropTarget, makeTarget } from "./gl.js";
import { gridOf } from "./grid.js";

export class Probe {
  #gl;
  #target = null;

  constructor(gl) {
    this.#gl = gl;
  }

  /** Amplitude and phase of a grid: Float32Array [j, i, 2]. */
  read(source, height, grid) {
    return this.readMany(source, [height], grid)[0];
  }

  /** The same at several heights, one above the other in one image where they fit. */
  readMany(source, heights, grid) {
    const gl = this.#gl;
    const rows = Math.max(1, Math.min(heights.length, Math.floor(4096 / grid.height)));
    this.#make(grid.width, grid.height * rows);
    const results = [];
    for (let start = 0; start < heights.length; start += rows) {
      const batch = heights.slice(start, start + rows);
      batch.forEach((height, n) => {
        source.draw(height, { ...grid, corner: [0, n * grid.height] }, this.#target);
      });
      const values = new Float32Array(4 * grid.width * grid.height * batch.length);
      gl.bindFramebuffer(gl.FRAMEBUFFER, this.#target.framebuffer);
      // RGBA is the one format that every card reads floats back in
      gl.readPixels(
        0, 0, grid.width, grid.height * batch.length, gl.RGBA, gl.FLOAT, values);
      const each = grid.width * grid.height;
      batch.forEach((_, n) => {
        const pairs = new Float32Array(2 * each);
        for (let i = 0; i < each; i++) {
          pairs[2 * i] = values[4 * (n * each + i)];
          pairs[2 * i + 1] = values[4 * (n * each + i) + 1];
        }
        results.push(pairs);
      });
    }
    return results;
  }

  /** A pixel: {amplitude, phase}. */
  pixel(source, height, x, y) {
    const [amplitude, phase] = this.read(source, height, gridOf(x, y, 1, 1));
    return { amplitude, phase };
  }

  #make(width, height) {
    const target = this.#target;
    if (target && target.width >= width && target.height >= height) return;
    if (target) dropTarget(this.#gl, target);
    this.#target = makeTarget(
      this.#gl, Math.max(width, target?.width ?? 0), Math.max(height, target?.height ?? 0));
  }
}
