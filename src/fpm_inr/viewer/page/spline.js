// A spline field on the graphics card. Its planes are spectra; at load each becomes an image on a grid
// a little finer than its frequencies need, its spectrum divided by that of the kernel with which the
// shaders then interpolate between the grid's points: a Fourier sum at any place, to about 3e-4
// (kernel and its width: Barnett, Magland, af Klinteberg, SIAM J. Sci. Comput. 41, C479 (2019)).

import { FieldError } from "./container.js";
import { gridLength, SparseFft } from "./fft.js";
import { bindTextures, compile, drawAll, dropTarget, makeTarget, makeTexture } from "./gl.js";
import { drawGrid } from "./grid.js";

const LEAST_OVERSAMPLING = 1.25;
const TOLERANCE = 3e-4;
const MOST_TAPS = 8;
const MOST_BYTES = 2 ** 30; // of all planes

export class SplineSource {
  #sum = null; // target: planes blended at one height

  constructor(gl, field, shaders) {
    this.gl = gl;
    this.field = field;
    this.shaders = shaders;
    this.blended = Math.min(field.planes, 4); // at any one height
    const reach = [field.sampleX, field.sampleY].map((list) =>
      list.reduce((most, k) => Math.max(most, Math.abs(k)), 0));
    this.size = reach.map((most) => gridLength(LEAST_OVERSAMPLING * (2 * most + 1)));
    const oversampling = Math.min(...this.size.map((n, axis) => n / (2 * reach[axis] + 1)));
    this.kernel = kernelFor(oversampling);
    this.#refuseTooLarge();
    this.blend = compile(gl, shaders["whole.vert"], shaders["blend.frag"], {
      BLENDED: this.blended,
    });
    this.ready = this.#compile({});
    this.planes = this.#makePlanes(reach);
  }

  /** Sample one height: {z} in um; or each point's own: {depth}, a texture as spline.frag wants. */
  draw(height, grid, target) {
    const { gl, field } = this;
    if (height.depth !== undefined) {
      this.atDepth ??= this.#compile({ BLENDED: this.blended, AT_DEPTH: 1 });
      const { program, uniform } = this.atDepth;
      gl.useProgram(program);
      bindTextures(gl, this.atDepth, [
        [gl.TEXTURE_2D_ARRAY, this.planes, "planes"], [gl.TEXTURE_2D, height.depth, "depth"],
      ]);
      gl.uniform1i(uniform("planeCount"), field.planes);
      this.#drawSamples(this.atDepth, grid, target);
      return;
    }
    const { first, weights } = planeWeights(field, height.z);
    const box = this.#boxOf(grid);
    const fetched = grid.width * grid.height * this.kernel.taps ** 2;
    if (box.width * box.height * this.blended > fetched * (this.blended - 1)) {
      // few samples, far apart: blend at their own places only
      this.spread ??= this.#compile({ BLENDED: this.blended });
      gl.useProgram(this.spread.program);
      bindTextures(gl, this.spread, [[gl.TEXTURE_2D_ARRAY, this.planes, "planes"]]);
      gl.uniform1i(this.spread.uniform("first"), first);
      gl.uniform4fv(this.spread.uniform("weights"), weights);
      this.#drawSamples(this.spread, grid, target);
      return;
    }
    this.#drawBlend(first, weights, box);
    gl.useProgram(this.ready.program);
    bindTextures(gl, this.ready, [[gl.TEXTURE_2D, this.#sum.texture, "sum"]]);
    gl.uniform2i(this.ready.uniform("sumAt"), box.x, box.y);
    this.#drawSamples(this.ready, grid, target);
  }

  #compile(more) {
    return compile(this.gl, this.shaders["whole.vert"], this.shaders["spline.frag"], {
      TAPS: this.kernel.taps,
      ...more,
    });
  }

  #drawSamples(program, grid, target) {
    const { gl, field, size, kernel } = this;
    gl.uniform2i(program.uniform("gridSize"), ...size);
    gl.uniform1f(program.uniform("beta"), kernel.beta);
    drawGrid(gl, program, field, grid, target);
  }

  /** Points of the field's own grid that the samples of a drawing grid take from. */
  #boxOf({ origin, stepX, stepY, width, height }) {
    const [from, to] = [Math.floor, Math.ceil].map((round, end) => [0, 1].map((axis) => {
      const side = axis === 0 ? this.field.width : this.field.height;
      const corners = [0.5, width - 0.5].flatMap((i) => [0.5, height - 0.5].map(
        (j) => origin[axis] + i * stepX[axis] + j * stepY[axis]));
      const edge = end === 0 ? Math.min(...corners) : Math.max(...corners);
      return round(((edge - 0.5) * this.size[axis]) / side) + (end - 0.5) * (this.kernel.taps + 2);
    }).map(Math.round));
    return { x: from[0], y: from[1], width: to[0] - from[0], height: to[1] - from[1] };
  }

  #drawBlend(first, weights, box) {
    const { gl, blend } = this;
    if (!this.#sum || this.#sum.width < box.width || this.#sum.height < box.height) {
      const before = this.#sum;
      if (before) dropTarget(gl, before);
      this.#sum = makeTarget(
        gl, Math.max(box.width, before?.width ?? 0), Math.max(box.height, before?.height ?? 0));
    }
    gl.useProgram(blend.program);
    bindTextures(gl, blend, [[gl.TEXTURE_2D_ARRAY, this.planes, "planes"]]);
    gl.uniform2i(blend.uniform("gridSize"), ...this.size);
    gl.uniform2i(blend.uniform("sumAt"), box.x, box.y);
    gl.uniform1i(blend.uniform("first"), first);
    gl.uniform4fv(blend.uniform("weights"), weights);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.#sum.framebuffer);
    gl.viewport(0, 0, box.width, box.height);
    drawAll(gl);
  }

  #refuseTooLarge() {
    const { gl, field, size } = this;
    if (
      Math.max(...size) + MOST_TAPS + 4 > gl.getParameter(gl.MAX_TEXTURE_SIZE) ||
      field.planes > gl.getParameter(gl.MAX_ARRAY_TEXTURE_LAYERS) ||
      4 * size[0] * size[1] * field.planes > MOST_BYTES
    ) {
      throw new FieldError("This field is larger than this graphics card takes.");
    }
  }

  #makePlanes(reach) {
    const { gl, field } = this;
    const [width, height] = this.size;
    const texture = makeTexture(gl, gl.TEXTURE_2D_ARRAY, gl.NEAREST);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.RG16F, width, height, field.planes);
    const shares = this.size.map((n, axis) => kernelSpectrum(this.kernel, n, reach[axis]));
    const { sampleX, sampleY } = field;
    const fft = new SparseFft(sampleY, sampleX, height, width);
    for (let plane = 0; plane < field.planes; plane++) {
      const values = field.planeValues(plane);
      for (let n = 0; n < sampleX.length; n++) {
        const share = shares[0][Math.abs(sampleX[n])] * shares[1][Math.abs(sampleY[n])];
        values[2 * n] /= share;
        values[2 * n + 1] /= share;
      }
      gl.texSubImage3D(
        gl.TEXTURE_2D_ARRAY, 0, 0, 0, plane, width, height, 1, gl.RG, gl.FLOAT,
        fft.imageOf(values));
    }
    return texture;
  }
}

/** First plane that counts at a height, and the cubic B-spline's weights of it and the next. */
export function planeWeights({ planes, zRange }, z) {
  if (planes === 1) return { first: 0, weights: [1, 0, 0, 0] };
  const [low, high] = zRange;
  const place = Math.min(Math.max((z - low) / (high - low), 0), 1) * (planes - 3);
  const first = Math.min(Math.floor(place), planes - 4);
  const t = place - first;
  const weights = [
    (1 - t) ** 3, 3 * t ** 3 - 6 * t ** 2 + 4, -3 * t ** 3 + 3 * t ** 2 + 3 * t + 1, t ** 3,
  ];
  return { first, weights: weights.map((weight) => weight / 6) };
}

/** exp(beta (sqrt(1 - x^2) - 1)), x from -1 to 1 over `taps` grid points. */
export function kernelFor(oversampling) {
  const decay = Math.PI * Math.sqrt(1 - 1 / oversampling);
  const taps = Math.min(Math.max(Math.ceil(-Math.log(TOLERANCE) / decay), 4), MOST_TAPS);
  return { taps, beta: 0.976 * Math.PI * taps * (1 - 0.5 / oversampling) };
}

/** What the kernel makes of a wave of frequency 0, 1, ... reach on a grid of n points. */
export function kernelSpectrum({ taps, beta }, n, reach) {
  const steps = 256;
  const nodes = Array.from({ length: steps }, (_, i) => (i + 0.5) / steps);
  const heights = nodes.map((x) => Math.exp(beta * (Math.sqrt(1 - x * x) - 1)));
  return Float64Array.from({ length: reach + 1 }, (_, k) => {
    const turn = (Math.PI * k * taps) / n;
    const sum = nodes.reduce((total, x, i) => total + heights[i] * Math.cos(turn * x), 0);
    return (sum * taps) / steps;
  });
}
