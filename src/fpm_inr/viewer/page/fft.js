// Fourier sums of sparse spectra on grids of 2^a or 3 * 2^a points a side.

const LANES = 16; // columns transformed together, so that they stay in the cache

/** The least length 2^a or 3 * 2^a, of at least 16 points. */
export function gridLength(least) {
  let length = 16;
  while (length < least) length *= 2;
  return length >= 32 && 0.75 * length >= least ? 0.75 * length : length;
}

/** Where the k-th value must stand before `transform`: mixed-radix digit reversal. */
export function inputOrder(length) {
  const order = new Int32Array(length);
  const place = (to, count, from, step) => {
    if (count === 1) order[from] = to;
    else {
      const radix = count % 3 === 0 ? 3 : 2;
      for (let r = 0; r < radix; r++) {
        place(to + (r * count) / radix, count / radix, from + r * step, radix * step);
      }
    }
  };
  place(0, length, 0, 1);
  return order;
}

/**
 * Replace columns by their sums over k of value(k) exp(+2 pi i k j / length), j = 0, 1, ...
 * @param {Float32Array} values [length, columns, 2], rows in `inputOrder`
 */
export function transform(values, length, columns) {
  const cosines = Float64Array.from({ length }, (_, k) => Math.cos((2 * Math.PI * k) / length));
  const sines = Float64Array.from({ length }, (_, k) => Math.sin((2 * Math.PI * k) / length));
  const whole = length % 3 === 0 ? length / 3 : length;
  for (let first = 0; first < columns; first += LANES) {
    const lanes = 2 * Math.min(LANES, columns - first);
    for (let half = 1; half < whole; half *= 2) {
      const turn = length / (2 * half);
      for (let k = 0; k < half; k++) {
        const [c, s] = [cosines[k * turn], sines[k * turn]];
        for (let row = k; row < length; row += 2 * half) {
          const low = 2 * (row * columns + first);
          butterfly(values, low, low + 2 * half * columns, lanes, c, s);
        }
      }
    }
    for (let k = 0; whole < length && k < whole; k++) {
      const at = 2 * (k * columns + first);
      const twice = 2 * k;
      threefold(values, at, 2 * whole * columns, lanes,
        cosines[k], sines[k], cosines[twice], sines[twice]);
    }
  }
}

function butterfly(values, low, high, lanes, c, s) {
  for (let i = 0; i < lanes; i += 2) {
    const real = values[high + i];
    const imaginary = values[high + i + 1];
    const turnedReal = real * c - imaginary * s;
    const turnedImaginary = real * s + imaginary * c;
    const lowReal = values[low + i];
    const lowImaginary = values[low + i + 1];
    values[low + i] = lowReal + turnedReal;
    values[low + i + 1] = lowImaginary + turnedImaginary;
    values[high + i] = lowReal - turnedReal;
    values[high + i + 1] = lowImaginary - turnedImaginary;
  }
}

const SINE = Math.sqrt(3) / 2;

function threefold(values, at, third, lanes, c1, s1, c2, s2) {
  for (let i = at; i < at + lanes; i += 2) {
    const [x1, y1] = [values[i + third], values[i + third + 1]];
    const [x2, y2] = [values[i + 2 * third], values[i + 2 * third + 1]];
    const [aReal, aImaginary] = [x1 * c1 - y1 * s1, x1 * s1 + y1 * c1];
    const [bReal, bImaginary] = [x2 * c2 - y2 * s2, x2 * s2 + y2 * c2];
    const [sumReal, sumImaginary] = [aReal + bReal, aImaginary + bImaginary];
    const [apartReal, apartImaginary] = [SINE * (aReal - bReal), SINE * (aImaginary - bImaginary)];
    const [real, imaginary] = [values[i], values[i + 1]];
    values[i] = real + sumReal;
    values[i + 1] = imaginary + sumImaginary;
    values[i + third] = real - sumReal / 2 - apartImaginary;
    values[i + third + 1] = imaginary - sumImaginary / 2 + apartReal;
    values[i + 2 * third] = real - sumReal / 2 + apartImaginary;
    values[i + 2 * third + 1] = imaginary - sumImaginary / 2 - apartReal;
  }
}

/**
 * Makes images on grids from samples at whole frequencies, one plane after the other.
 * @param {Int32Array} y, x signed frequencies of the samples
 */
export class SparseFft {
  constructor(y, x, height, width) {
    this.height = height;
    this.width = width;
    this.reach = y.reduce((most, k) => Math.max(most, Math.abs(k)), 0);
    this.rows = 2 * this.reach + 1; // that hold anything
    const orderX = inputOrder(width);
    const orderY = inputOrder(height);
    const wrap = (k, n) => (k < 0 ? k + n : k);
    this.places = Int32Array.from(
      y, (k, n) => orderX[wrap(x[n], width)] * this.rows + k + this.reach);
    this.targets = Array.from(
      { length: this.rows }, (_, row) => orderY[wrap(row - this.reach, height)]);
    this.along = new Float32Array(2 * width * this.rows);
    this.image = new Float32Array(2 * width * height);
  }

  /** [height, width, 2] of samples [sample, 2]; the next call writes over it. */
  imageOf(samples) {
    const { along, image, places, rows, targets, width } = this;
    along.fill(0);
    image.fill(0);
    places.forEach((place, n) => {
      along[2 * place] = samples[2 * n];
      along[2 * place + 1] = samples[2 * n + 1];
    });
    transform(along, width, rows);
    targets.forEach((target, row) => {
      for (let i = 0; i < width; i++) {
        image[2 * (target * width + i)] = along[2 * (i * rows + row)];
        image[2 * (target * width + i) + 1] = along[2 * (i * rows + row) + 1];
      }
    });
    transform(image, this.height, width);
    return image;
  }
}

/** `SparseFft` of one plane, as a list. */
export function imageOfSamples(y, x, samples, height, width) {
  return Array.from(
    new SparseFft(Int32Array.from(y), Int32Array.from(x), height, width).imageOf(samples));
}
