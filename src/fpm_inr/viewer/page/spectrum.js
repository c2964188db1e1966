// The samples of a spline field's planes, from the forms that they are stored in.

/** Values of halves, by their bits; subnormal ones included. */
const HALVES = Float32Array.from({ length: 65536 }, (_, bits) => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + fraction) * 2 ** (exponent - 15) : fraction * 2 ** -14);
});

export function valuesOfHalves(bits) {
  return Array.from(bits, (one) => HALVES[one]);
}

/** Values of one plane [sample, 2] that were stored as floats of a scale. */
export function scaledValues({ dtype, data, shape }, scale, plane) {
  const count = 2 * shape[1];
  const stored = data.subarray(plane * count, (plane + 1) * count);
  const values = new Float32Array(count);
  if (dtype === "F16") for (let i = 0; i < count; i++) values[i] = HALVES[stored[i]] * scale[plane];
  else for (let i = 0; i < count; i++) values[i] = stored[i] * scale[plane];
  return values;
}

/**
 * Values of one plane [sample, 2] in bytes: each ring of frequencies has its own scale, and those of
 * ring 0 stand apart.
 * @param {{ring: Uint8Array, scale: Float32Array, rings: number, near: Float32Array}} rings
 *   ring of each sample; scale [plane, ring]; near [sample of ring 0, 2] of this plane
 */
export function ringValues({ data, shape }, { ring, scale, rings, near }, plane) {
  const samples = shape[1];
  const stored = data.subarray(2 * plane * samples, 2 * (plane + 1) * samples);
  const values = new Float32Array(2 * samples);
  let nearAt = 0;
  for (let n = 0; n < samples; n++) {
    if (ring[n] === 0) {
      values[2 * n] = near[nearAt++];
      values[2 * n + 1] = near[nearAt++];
    } else {
      const step = scale[plane * rings + ring[n]];
      values[2 * n] = stored[2 * n] * step;
      values[2 * n + 1] = stored[2 * n + 1] * step;
    }
  }
  return values;
}
