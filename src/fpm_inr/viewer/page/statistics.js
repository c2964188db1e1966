// Numbers that describe an image for the eye: contrast and the phase of its mean.

/** Values below which these percentages lie, e.g. [0.5, 99.5]. */
export function percentiles(values, percents) {
  return sortedPercentiles(Float32Array.from(values).sort(), percents);
}

/** The same of ascending values. */
export function sortedPercentiles(sorted, percents) {
  return percents.map((percent) => {
    const at = (Math.min(Math.max(percent, 0), 100) / 100) * (sorted.length - 1);
    const low = Math.floor(at);
    const high = Math.min(low + 1, sorted.length - 1);
    return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
  });
}

/** Phase of the mean field of samples [i, 2] (amplitude, phase). */
export function meanPhase(pairs) {
  let real = 0;
  let imaginary = 0;
  for (let i = 0; i < pairs.length; i += 2) {
    real += pairs[i] * Math.cos(pairs[i + 1]);
    imaginary += pairs[i] * Math.sin(pairs[i + 1]);
  }
  return Math.atan2(imaginary, real);
}

/** An angle in (-pi, pi]. */
export function wrapped(angle) {
  return Math.atan2(Math.sin(angle), Math.cos(angle));
}

export function amplitudesOf(pairs) {
  return pairs.filter((_, i) => i % 2 === 0);
}

/** Phases relative to a reference, wrapped. */
export function phasesOf(pairs, reference) {
  return pairs.filter((_, i) => i % 2 === 1).map((phase) => wrapped(phase - reference));
}

/** The ends of a grey scale; a flat image is grey. */
export function greyRange(low, high) {
  if (high - low > 1e-6 * Math.max(Math.abs(high), 1e-30)) return [low, high];
  const margin = Math.max(Math.abs(high), 1) / 2;
  return [low - margin, high + margin];
}

/** Half-width of a symmetric phase scale: pi, on cyclic colours, where it spans over half a turn. */
export function phaseLimit(phases) {
  const [reach] = percentiles(phases.map(Math.abs), [99.5]);
  return reach > Math.PI / 2 ? Math.PI : Math.max(reach, 1e-3);
}

/** A round length (1, 2 or 5 times a power of ten) of at most this. */
export function roundLength(most) {
  const decade = 10 ** Math.floor(Math.log10(most));
  return Math.max(...[1, 2, 5].map((n) => n * decade).filter((length) => length <= most * 1.000001));
}

/** A length for a label: 50 µm, 0.5 µm, 2 mm. */
export function lengthText(um) {
  return um >= 1000 ? `${+(um / 1000).toPrecision(6)} mm` : `${+um.toPrecision(6)} µm`;
}
