// Grids of points that a source is sampled on.

import { drawAll } from "./gl.js";

/**
 * Sample points origin + stepX (i + 1/2) + stepY (j + 1/2), in image pixels; a pixel's centre has
 * halves. `corner` is the target's texel that holds the first.
 * @typedef {{origin: number[], stepX: number[], stepY: number[], corner: number[],
 *   width: number, height: number}} Grid
 */

/** The grid of all pixels (or of every step-th) of a rectangle. */
export function gridOf(x, y, width, height, step = 1, corner = [0, 0]) {
  const samples = (length) => Math.max(1, Math.ceil(length / step));
  return {
    origin: [x, y],
    stepX: [step, 0],
    stepY: [0, step],
    corner,
    width: samples(width),
    height: samples(height),
  };
}

/** Draw the samples of a grid into a float target, with the program in use. */
export function drawGrid(gl, program, field, grid, target) {
  gl.bindFramebuffer(gl.FRAMEBUFFER, target.framebuffer);
  gl.viewport(grid.corner[0], grid.corner[1], grid.width, grid.height);
  gl.uniform2f(program.uniform("imageSize"), field.width, field.height);
  for (const name of ["corner", "origin", "stepX", "stepY"]) {
    gl.uniform2f(program.uniform(name), ...grid[name]);
  }
  drawAll(gl);
}
