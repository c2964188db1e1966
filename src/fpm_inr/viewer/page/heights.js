// How the planes of a wavelength are summed at a height; as fpm_inr.viewer.tile_codec.HeightBasis.

/** First of its planes that counts at a height, and the weights of it and the three after it. */
export function weightsAt({ zRange: [low, high], planes, planesUm }, z) {
  if (planesUm) {
    let nearest = 0;
    planesUm.forEach((plane, n) => {
      if (Math.abs(plane - z) < Math.abs(planesUm[nearest] - z)) nearest = n;
    });
    return { first: nearest, weights: [1, 0, 0, 0] };
  }
  if (planes === 1) return { first: 0, weights: [1, 0, 0, 0] };
  const place = Math.min(Math.max((z - low) / (high - low), 0), 1) * (planes - 3);
  const first = Math.min(Math.floor(place), planes - 4);
  const t = place - first;
  const cubic = [(1 - t) ** 3, (3 * t - 6) * t * t + 4, ((3 - 3 * t) * t + 3) * t + 1, t ** 3];
  return { first, weights: cubic.map((part) => part / 6) };
}

/** Phase of the mean field of a wavelength at a height, of tiles that make up the whole field. */
export function meanPhaseAt(channel, tiles, z) {
  const { first, weights } = weightsAt(channel, z);
  let [real, imaginary] = [0, 0];
  for (const { mean, area } of tiles) {
    weights.forEach((weight, n) => {
      const plane = channel.first + Math.min(first + n, channel.planes - 1);
      real += weight * area * mean[2 * plane];
      imaginary += weight * area * mean[2 * plane + 1];
    });
  }
  return Math.atan2(imaginary, real);
}
