// How sharp patches are, and where they are sharpest: the score "edges" of fpm_inr.focus, in the page.
// In focus the gradient of the complex field is gathered at edges: of its modulus, the variance over
// the mean is largest there.

export const PATCH_PX = 64;
export const STRIDE_PX = 16;
const FULL_CONTRAST = 0.2; // share of the well-structured patches' score that is trusted fully
const LEAST_CONFIDENCE = 0.1;
const OUTLIER_SIGMAS = 3;

/** Patches along one side: pixels [start, end) and their mean; the outermost sit on the edge. */
export function patchesAlong(length, patch = PATCH_PX, stride = STRIDE_PX) {
  const count = Math.ceil(length / stride) + 1;
  return Array.from({ length: count }, (_, n) => {
    const middle = roundToEven((n * length) / (count - 1));
    const start = Math.max(0, Math.ceil(middle - patch / 2 - 0.5));
    const end = Math.min(length, Math.floor(middle + patch / 2 - 0.5) + 1);
    return { start, end, centre: (start + end - 1) / 2 };
  });
}

/** The two neighbours of a position among ascending centres, with the share of the second. */
export function between(centres, at) {
  const last = centres.length - 1;
  if (at <= centres[0]) return { low: 0, high: 0, share: 0 };
  if (at >= centres[last]) return { low: last, high: last, share: 0 };
  const high = centres.findIndex((centre) => centre > at);
  const share = (at - centres[high - 1]) / (centres[high] - centres[high - 1]);
  return { low: high - 1, high, share };
}

/**
 * Modulus of the field's gradient [j, i], by forward differences; none beyond the last pixel.
 * @param {{pairs, start: number, stride: number}[]} samples of the pixels, of those to their right and
 *   of those below: amplitude and phase of pixel (i, j) stand at 2 (start + j stride + i)
 * @param {{width, height, x0, y0, step}} frame as for patchScores
 * @param {{width: number, height: number}} image
 */
export function edges([here, right, below], { width, height, x0 = 0, y0 = 0, step = 1 }, image) {
  const squaredStep = (to, own, i, j) => {
    const at = 2 * (to.start + j * to.stride + i);
    const [a, b] = [here.pairs[own], to.pairs[at]];
    const turn = to.pairs[at + 1] - here.pairs[own + 1];
    return a * a + b * b - 2 * a * b * Math.cos(turn);
  };
  const result = new Float32Array(width * height);
  for (let j = 0; j < height; j++) {
    const isLastRow = y0 + j * step === image.height - 1;
    for (let i = 0; i < width; i++) {
      const own = 2 * (here.start + j * here.stride + i);
      const isLastColumn = x0 + i * step === image.width - 1;
      const squared =
        (isLastColumn ? 0 : squaredStep(right, own, i, j)) +
        (isLastRow ? 0 : squaredStep(below, own, i, j));
      result[j * width + i] = Math.sqrt(Math.max(squared, 0));
    }
  }
  return result;
}

/**
 * Scores [row, column] of patches, from values [j, i] at every step-th pixel: value (i, j) belongs to
 * pixel (x0 + i step, y0 + j step).
 */
export function patchScores(values, { width, height, x0 = 0, y0 = 0, step = 1 }, rows, columns) {
  const stride = width + 1;
  const sums = new Float64Array(stride * (height + 1));
  const squares = new Float64Array(stride * (height + 1));
  for (let j = 0; j < height; j++) {
    let sum = 0;
    let square = 0;
    for (let i = 0; i < width; i++) {
      const value = values[j * width + i];
      sum += value;
      square += value * value;
      const at = (j + 1) * stride + i + 1;
      sums[at] = sums[at - stride] + sum;
      squares[at] = squares[at - stride] + square;
    }
  }
  const span = ({ start, end }, offset, count) =>
    [start, end].map((p) => Math.min(Math.max(Math.ceil((p - offset) / step), 0), count));
  const scores = new Float64Array(rows.length * columns.length);
  rows.forEach((row, r) => {
    const [top, bottom] = span(row, y0, height);
    columns.forEach((column, c) => {
      const [left, right] = span(column, x0, width);
      const total = (of) =>
        of[bottom * stride + right] - of[top * stride + right] -
        of[bottom * stride + left] + of[top * stride + left];
      const count = Math.max((bottom - top) * (right - left), 1);
      const mean = total(sums) / count;
      const variance = Math.max(total(squares) / count - mean * mean, 0);
      scores[r * columns.length + c] = mean > 0 ? variance / mean : 0;
    });
  });
  return scores;
}

/** Height of the highest score, refined by the parabola through it and its neighbours. */
export function peakOf(z, scores) {
  const top = argmax(scores);
  if (top === 0 || top === scores.length - 1) return z[top];
  const down = z[top] - z[top - 1];
  const up = z[top + 1] - z[top];
  const slopeDown = (scores[top] - scores[top - 1]) / down;
  const slopeUp = (scores[top + 1] - scores[top]) / up;
  const curvature = (slopeUp - slopeDown) / (down + up);
  if (!(curvature < 0)) return z[top];
  const slope = (slopeDown * up + slopeUp * down) / (down + up);
  return z[top] + Math.min(Math.max(-slope / (2 * curvature), -down), up);
}

/** Whether the sharpest height is the first or the last: focus may lie beyond. */
export function isAtEnd(scores) {
  const top = argmax(scores);
  return top === 0 || top === scores.length - 1;
}

/**
 * Depth of every patch; those without a focus of their own take their neighbours'.
 * @param {number[]} z heights, ascending
 * @param {Float64Array[]} scores one array [row, column] a height
 * @returns {{depth: Float64Array, isTrusted: boolean[]}} [row, column]
 */
export function depthOfPatches(z, scores, rows, columns) {
  const count = rows * columns;
  const curves = Array.from({ length: count }, (_, patch) => scores.map((slice) => slice[patch]));
  const depth = Float64Array.from(curves, (curve) => peakOf(z, curve));
  const peaks = curves.map((curve) => Math.max(...curve));
  const full = FULL_CONTRAST * quantile(peaks, 0.95);
  const confidence = curves.map((curve, n) =>
    peaks[n] > 0 && full > 0
      ? (1 - quantile(curve, 0.5) / peaks[n]) * Math.min(peaks[n] / full, 1)
      : 0);
  let isTrusted = curves.map((curve, n) => confidence[n] >= LEAST_CONFIDENCE && !isAtEnd(curve));
  const isOutlier = outliers(depth, isTrusted, rows, columns, meanStep(z));
  isTrusted = isTrusted.map((trusted, n) => trusted && !isOutlier[n]);
  return { depth: filled(depth, isTrusted, confidence, rows, columns), isTrusted };
}

function outliers(depth, isTrusted, rows, columns, slice) {
  const reach = Math.max(1, Math.round((0.75 * PATCH_PX) / STRIDE_PX));
  return Array.from(depth, (own, n) => {
    const around = [];
    const [row, column] = [Math.floor(n / columns), n % columns];
    for (let r = Math.max(0, row - reach); r <= Math.min(rows - 1, row + reach); r++) {
      for (let c = Math.max(0, column - reach); c <= Math.min(columns - 1, column + reach); c++) {
        if (isTrusted[r * columns + c]) around.push(depth[r * columns + c]);
      }
    }
    if (around.length === 0) return false;
    const median = quantile(around, 0.5);
    const sigma = 1.4826 * quantile(around.map((value) => Math.abs(value - median)), 0.5);
    return Math.abs(own - median) > OUTLIER_SIGMAS * sigma + slice;
  });
}

/** Replace what is not trusted by the weighted mean around it, wider until it holds some. */
function filled(depth, isTrusted, confidence, rows, columns) {
  const result = Float64Array.from(depth);
  if (!isTrusted.some(Boolean)) return result;
  const weight = confidence.map((value, n) => (isTrusted[n] ? value : 0));
  const known = [...isTrusted];
  for (let sigma = 1; !known.every(Boolean); sigma *= 2) {
    const share = blurred(weight, rows, columns, sigma);
    const mean = blurred(weight.map((value, n) => value * depth[n]), rows, columns, sigma);
    known.forEach((isKnown, n) => {
      if (isKnown || share[n] <= 1e-6) return;
      result[n] = mean[n] / share[n];
      known[n] = true;
    });
  }
  return result;
}

function blurred(values, rows, columns, sigma) {
  const reach = Math.round(3 * sigma);
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, k) =>
    Math.exp(-((k - reach) ** 2) / (2 * sigma * sigma)));
  const norm = kernel.reduce((sum, k) => sum + k, 0);
  const pass = (from, length, stride, n) => {
    const at = Math.floor(n / stride) % length;
    let sum = 0;
    for (let k = Math.max(-reach, -at); k <= Math.min(reach, length - 1 - at); k++) {
      sum += kernel[k + reach] * from[n + k * stride];
    }
    return sum / norm;
  };
  const along = values.map((_, n) => pass(values, columns, 1, n));
  return along.map((_, n) => pass(along, rows, columns, n));
}

function meanStep(z) {
  return z.length > 1 ? (z[z.length - 1] - z[0]) / (z.length - 1) : 0;
}

function argmax(values) {
  let top = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[top]) top = i;
  return top;
}

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low] + (at - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
}

function roundToEven(value) {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}
