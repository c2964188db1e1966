// A field file as plain values, checked: what the shaders need and what the page shows.

import { FieldError, readContainer } from "./container.js";
import { ringValues, scaledValues } from "./spectrum.js";

const FORMAT = "fpm-inr field 1";
const LARGEST_SIDE = 65536;
const LEAST_PLANES = 4; // of a cubic spline

/**
 * Read a field file, the planes of a conventional solution, or a raw frame.
 * @param {ArrayBuffer} buffer
 * @returns {Object} kind "spline", "neural" or "planes", width, height, zRange, pixelUm, amplitudeScale,
 *   unit (of a map that is no amplitude, else empty), warnings (sentences on how it came about), originUm (x, y of the first pixel's corner), hasPhase, and the kind's own tensors.
 */
export function readField(buffer) {
  const { metadata, tensors } = readContainer(buffer);
  if (metadata.format !== FORMAT) {
    throw new FieldError("The field file has a format that this page does not know.");
  }
  const [height, width] = numbers(metadata.shape_y_x, 2, "shape_y_x");
  for (const side of [height, width]) {
    if (!Number.isInteger(side) || side < 1 || side > LARGEST_SIDE) throw bad("shape_y_x");
  }
  const zRange = numbers(metadata.z_range_um, 2, "z_range_um");
  if (zRange[0] > zRange[1] || !Number.isFinite(zRange[1] - zRange[0])) throw bad("z_range_um");
  const common = {
    height,
    width,
    zRange,
    pixelUm: positive(
      positive(metadata.optics?.pixel_um, "pixel_um") / metadata.upsampling, "upsampling"),
    amplitudeScale: positive(metadata.amplitude_scale, "amplitude_scale"),
    unit: typeof metadata.unit === "string" ? metadata.unit : "",
    warnings: sentences(metadata.record?.warnings),
    originUm: metadata.origin_x_y_um ? numbers(metadata.origin_x_y_um, 2, "origin") : [0, 0],
  };
  if (metadata.kind === "spline") return { ...common, ...spline(metadata.field, tensors, common) };
  if (metadata.kind === "neural") return { ...common, ...neural(metadata.field, tensors) };
  if (metadata.kind === "pixel") return { ...common, ...planes(tensors, height, width) };
  throw bad("kind");
}

function sentences(list) {
  return Array.isArray(list) ? list.filter((one) => typeof one === "string") : [];
}

function spline(settings, tensors, { height, width, zRange }) {
  const spectrum = tensor(tensors, "spectrum", 3);
  const [planes, samples, parts] = spectrum.shape;
  const isFlat = zRange[0] === zRange[1];
  if (settings?.planes !== planes || (isFlat ? planes !== 1 : planes < LEAST_PLANES)) {
    throw bad("planes");
  }
  if (parts !== 2 || samples < 1) throw bad("spectrum");
  const [y, x] = frequencies(tensor(tensors, "sample_runs", 2), samples, height, width);
  const planeValues = spectrum.dtype === "I8"
    ? ringedPlanes(tensors, spectrum)
    : scaledPlanes(tensors, spectrum);
  return { kind: "spline", hasPhase: true, planes, sampleY: y, sampleX: x, planeValues };
}

/** Frequencies y and x of every sample, from runs along x: y, first x, how many. */
function frequencies(runs, samples, height, width) {
  if (runs.dtype !== "I32" || runs.shape[1] !== 3) throw bad("sample_runs");
  const isWithin = (k, side) => k >= -Math.floor(side / 2) && k <= Math.floor((side - 1) / 2);
  const [y, x] = [new Int32Array(samples), new Int32Array(samples)];
  let end = 0;
  for (let run = 0; run < runs.data.length; run += 3) {
    const [row, first, count] = runs.data.subarray(run, run + 3);
    if (count < 1 || end + count > samples || !isWithin(row, height) ||
        !isWithin(first, width) || !isWithin(first + count - 1, width)) {
      throw bad("sample_runs");
    }
    y.fill(row, end, end + count);
    for (let k = 0; k < count; k++) x[end + k] = first + k;
    end += count;
  }
  if (end !== samples) throw bad("sample_runs");
  return [y, x];
}

function scaledPlanes(tensors, spectrum) {
  const scale = floats(tensors, "spectrum_scale", [spectrum.shape[0]]).data;
  if (spectrum.dtype !== "F16" && spectrum.dtype !== "F32") throw bad("spectrum");
  return (plane) => finite(scaledValues(spectrum, scale, plane));
}

/** Bytes, with a scale for every ring of frequencies; those of ring 0 stand apart. */
function ringedPlanes(tensors, spectrum) {
  const [planes, samples] = spectrum.shape;
  const ring = tensor(tensors, "spectrum_ring", 1);
  const scale = floats(tensors, "spectrum_ring_scale", [planes, null]);
  const rings = scale.shape[1];
  if (ring.dtype !== "U8" || ring.shape[0] !== samples || !ring.data.every((n) => n < rings)) {
    throw bad("spectrum_ring");
  }
  const near = tensor(tensors, "spectrum_near", 3);
  const count = ring.data.reduce((sum, n) => sum + (n === 0), 0);
  if (near.shape.join() !== [planes, count, 2].join() || !["F16", "F32"].includes(near.dtype)) {
    throw bad("spectrum_near");
  }
  const nearScale = tensors.has("field.spectrum_scale")
    ? floats(tensors, "spectrum_scale", [planes]).data
    : new Float32Array(planes).fill(1);
  const rest = { ring: ring.data, rings, scale: scale.data };
  return (plane) =>
    finite(ringValues(spectrum, { ...rest, near: scaledValues(near, nearScale, plane) }, plane));
}

function finite(values) {
  let nothing = 0; // NaN as soon as a value is not finite
  for (let i = 0; i < values.length; i++) nothing += values[i] - values[i];
  if (nothing !== 0) throw new FieldError("The field file is damaged: spectrum is not finite.");
  return values;
}

function neural(settings, tensors) {
  const plane = tensor(tensors, "plane", 4);
  const [sets, planeHeight, planeWidth, channels] = plane.shape;
  const line = floats(tensors, "line", [sets, null, channels]);
  const bias = floats(tensors, "bias_1", [2, null]);
  const hidden = bias.shape[1];
  if (![1, 2].includes(sets) || Math.min(...plane.shape, hidden, line.shape[1]) < 1) {
    throw bad("plane");
  }
  return {
    kind: "neural",
    hasPhase: true,
    sets,
    channels,
    hidden,
    nodes: line.shape[1],
    layerNorm: settings?.layer_norm === true,
    plane: { ...plane, height: planeHeight, width: planeWidth },
    // stored bytes mean low + step * byte
    scale: plane.dtype === "U8" && {
      low: floats(tensors, "plane_low", [sets, channels]).data,
      step: floats(tensors, "plane_step", [sets, channels]).data,
    },
    line: line.data,
    weight1: floats(tensors, "weight_1", [2, hidden, channels]).data,
    bias1: bias.data,
    weight2: floats(tensors, "weight_2", [2, hidden, hidden]).data,
    bias2: floats(tensors, "bias_2", [2, hidden]).data,
    weight3: floats(tensors, "weight_3", [2, hidden]).data,
    bias3: floats(tensors, "bias_3", [2]).data,
  };
}

function planes(tensors, height, width) {
  const image = floats(tensors, "image", [null, height, width, null]);
  const parts = image.shape[3]; // 2: complex; 1: an amplitude, as of a raw frame
  if (image.shape[0] < 1 || (parts !== 1 && parts !== 2)) throw bad("image");
  const z = floats(tensors, "z_um", [image.shape[0]]);
  return { kind: "planes", hasPhase: parts === 2, parts, image: image.data, planesUm: z.data };
}

function tensor(tensors, name, dimensions) {
  const found = tensors.get(`field.${name}`);
  if (!found) throw new FieldError(`The field file is damaged: ${name} is missing.`);
  if (found.shape.length !== dimensions) throw bad(name);
  return found;
}

/** A tensor of this shape (null: any length) as finite numbers. */
function floats(tensors, name, shape) {
  const found = tensor(tensors, name, shape.length);
  if (!found.shape.every((n, axis) => shape[axis] === null || n === shape[axis])) throw bad(name);
  if (found.dtype !== "F32" && found.dtype !== "F64") throw bad(name);
  if (!found.data.every(Number.isFinite)) throw bad(name);
  return { shape: found.shape, data: Float32Array.from(found.data) };
}

function numbers(value, count, name) {
  if (!Array.isArray(value) || value.length !== count || !value.every(Number.isFinite)) {
    throw bad(name);
  }
  return value;
}

function positive(value, name) {
  if (!Number.isFinite(value) || value <= 0) throw bad(name);
  return value;
}

function bad(name) {
  return new FieldError(`The field file is damaged: ${name} is invalid.`);
}
