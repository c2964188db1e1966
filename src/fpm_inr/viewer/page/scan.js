// Scans through focus: at one point, at once; over the whole image, slice by slice.

import {
  between, depthOfPatches, edges, isAtEnd, patchesAlong, patchScores, peakOf, PATCH_PX,
} from "./focus.js";
import { makeTexture } from "./gl.js";
import { gridOf } from "./grid.js";
import { percentiles } from "./statistics.js";

const HEIGHTS = 41; // as the Python focus code takes
const MOST_SAMPLES = 512 ** 2; // a slice of the whole image
const COARSE_PX = 16; // slices' phases are compared on blocks of this size
const DEPTH_TEXEL_PX = 8;

/** Heights that a scan looks at. */
export function scanHeights(field) {
  if (field.kind === "planes") return [...field.planesUm];
  const [low, high] = field.zRange;
  if (low === high) return [low];
  return Array.from({ length: HEIGHTS }, (_, n) => low + ((high - low) * n) / (HEIGHTS - 1));
}

/** Focus curve and best height at pixel (x, y). */
export function focusAt(source, probe, x, y) {
  const { field } = source;
  const [rows, columns] = patchGrid(field);
  const near = (patches, at) => {
    const { low, high, share } = between(patches.map((patch) => patch.centre), at);
    return { patches: [patches[low], patches[high]], share };
  };
  const [inY, inX] = [near(rows, y), near(columns, x)];
  const x0 = inX.patches[0].start;
  const y0 = inY.patches[0].start;
  const frame = {
    x0, y0, step: 1, width: inX.patches[1].end - x0, height: inY.patches[1].end - y0,
  };
  // one more row and column, for the differences
  const stride = frame.width + 1;
  const grid = gridOf(x0, y0, stride, frame.height + 1);
  const z = scanHeights(field);
  const slices = probe.readMany(source, z.map((height) => ({ z: height })), grid);
  const curve = slices.map((pairs) => {
    const samples = [0, 1, stride].map((start) => ({ pairs, start, stride }));
    const strength = edges(samples, frame, field);
    const [a, b, c, d] = patchScores(strength, frame, inY.patches, inX.patches);
    const top = a + inX.share * (b - a);
    return top + inY.share * (c + inX.share * (d - c) - top);
  });
  return { z, curve, best: peakOf(z, curve), isAtEnd: isAtEnd(curve) };
}

/**
 * Depth map of the whole image.
 * @param {(share: number) => Promise<boolean>} onSlice called between slices; false ends the scan
 * @returns {Promise<?Object>} texture for neural.frag and display.frag,
 *   depthAt(x, y) in um, and range, the depths that colours span
 */
export async function scanDepth(gl, source, probe, onSlice) {
  const { field } = source;
  const z = scanHeights(field);
  const [rows, columns] = patchGrid(field);
  const step = Math.min(
    Math.max(1, Math.ceil(Math.sqrt((field.width * field.height) / MOST_SAMPLES))), PATCH_PX / 16);
  const first = 0.5 - step / 2; // samples lie on pixels 0, step, 2 step, ...
  const grids = [[0, 0], [1, 0], [0, 1]].map(([x, y]) => ({
    ...gridOf(0, 0, field.width, field.height, step), origin: [first + x, first + y],
  }));
  const frame = { width: grids[0].width, height: grids[0].height, step };
  const scores = [];
  const turns = [0];
  let before = null;
  for (const [n, height] of z.entries()) {
    const samples = neighbours(source, probe, { z: height }, grids);
    scores.push(patchScores(edges(samples, frame, field), frame, rows, columns));
    const coarse = blockMeans(
      samples[0].pairs, frame.width, frame.height, Math.ceil(COARSE_PX / step));
    if (before) turns.push(turns[n - 1] + angleBetween(coarse, before));
    before = coarse;
    if (!(await onSlice((n + 1) / z.length))) return null;
  }
  const { depth } = depthOfPatches(z, scores, rows.length, columns.length);
  const depthAt = patchInterpolation(depth, rows, columns);
  const shown = percentiles(depth, [1, 99]);
  return {
    texture: depthTexture(gl, field, depthAt, z, turns),
    depthAt,
    range: shown[1] - shown[0] > 0 ? shown : [...field.zRange],
  };
}

/** Samples of the first grid, and of those one pixel to the right and below. */
function neighbours(source, probe, height, grids) {
  const stride = grids[0].width;
  if (grids[0].stepX[0] > 1) {
    return grids.map((grid) => ({ pairs: probe.read(source, height, grid), start: 0, stride }));
  }
  const pairs = probe.read(source, height, grids[0]);
  return [0, 1, stride].map((start) => ({ pairs, start, stride }));
}

function patchGrid(field) {
  const patch = Math.min(PATCH_PX, field.width, field.height);
  return [patchesAlong(field.height, patch), patchesAlong(field.width, patch)];
}

function patchInterpolation(values, rows, columns) {
  const [atRows, atColumns] = [rows, columns].map((list) => list.map((patch) => patch.centre));
  return (x, y) => {
    const [i, j] = [between(atColumns, x), between(atRows, y)];
    const row = (r) => {
      const [a, b] = [values[r * columns.length + i.low], values[r * columns.length + i.high]];
      return a + i.share * (b - a);
    };
    return row(j.low) + j.share * (row(j.high) - row(j.low));
  };
}

/** Red: height as 0 to 1 of the range; green: phase that the slice there is ahead of the first. */
function depthTexture(gl, field, depthAt, z, turns) {
  const [width, height] = [field.width, field.height].map((n) => Math.ceil(n / DEPTH_TEXEL_PX));
  const [low, high] = field.zRange;
  const texels = new Float32Array(2 * width * height);
  for (let j = 0; j < height; j++) {
    for (let i = 0; i < width; i++) {
      const x = ((i + 0.5) * field.width) / width - 0.5;
      const y = ((j + 0.5) * field.height) / height - 0.5;
      const own = depthAt(x, y);
      const { low: below, high: above, share } = between(z, own);
      const at = 2 * (j * width + i);
      texels[at] = (own - low) / (high - low);
      texels[at + 1] = -(turns[below] + share * (turns[above] - turns[below]));
    }
  }
  const texture = makeTexture(gl, gl.TEXTURE_2D, gl.LINEAR);
  gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RG16F, width, height);
  gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RG, gl.FLOAT, texels);
  return texture;
}

/** Mean complex field of blocks, [block, 2]. */
function blockMeans(pairs, width, height, side) {
  const columns = Math.ceil(width / side);
  const sums = new Float64Array(2 * columns * Math.ceil(height / side));
  for (let j = 0; j < height; j++) {
    for (let i = 0; i < width; i++) {
      const from = 2 * (j * width + i);
      const to = 2 * (Math.floor(j / side) * columns + Math.floor(i / side));
      sums[to] += pairs[from] * Math.cos(pairs[from + 1]);
      sums[to + 1] += pairs[from] * Math.sin(pairs[from + 1]);
    }
  }
  return sums;
}

/** Angle by which `own` must be turned to agree with `before`. */
function angleBetween(own, before) {
  let real = 0;
  let imaginary = 0;
  for (let i = 0; i < own.length; i += 2) {
    real += own[i] * before[i] + own[i + 1] * before[i + 1];
    imaginary += own[i] * before[i + 1] - own[i + 1] * before[i];
  }
  return Math.atan2(imaginary, real);
}
