// Values along a line.

import { gridOf } from "./grid.js";
import { wrapped } from "./statistics.js";

const MOST_SAMPLES = 1024;

/**
 * About one sample a pixel between two image positions, at the middle of each of equal parts.
 * @param {number[][]} line two positions
 * @param {Object} field
 * @param {{read: Function, isPhase: boolean, reference: number}} what `read` gives amplitude and
 *   phase of a grid; `reference` is the phase shown as zero
 * @returns {{um: number[], values: number[]}} in sqrt(counts) or rad, by distance from the start
 */
export function profileAlong([from, to], field, { read, isPhase, reference }) {
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  const count = Math.min(Math.max(Math.round(length), 2), MOST_SAMPLES);
  const step = [(to[0] - from[0]) / count, (to[1] - from[1]) / count];
  const pairs = read({ ...gridOf(...from, count, 1), stepX: step, stepY: [0, 0] });
  const each = (value) => Array.from({ length: count }, (_, n) => value(n));
  return {
    um: each((n) => ((n + 0.5) / count) * length * field.pixelUm),
    values: each((n) =>
      isPhase ? wrapped(pairs[2 * n + 1] - reference) : pairs[2 * n] * field.amplitudeScale),
  };
}
