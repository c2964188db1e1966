// A tile's file: unpacked, checked, and put on the graphics card.

import { FieldError, readContainer } from "./container.js";
import { makeTexture } from "./gl.js";

const FORMAT = "fpm-inr tile 1";
const DEPTH_FORMAT = "fpm-inr depth 1";

/** The container in a packed file; `packing` is "gzip" or "none". */
async function unpacked(packed, packing = "gzip") {
  if (packing === "none") return readContainer(packed);
  let buffer;
  try {
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    buffer = await new Response(stream).arrayBuffer();
  } catch {
    throw new FieldError("A part of the map is damaged: it cannot be unpacked.");
  }
  return readContainer(buffer);
}

/** Low and high bytes of whole numbers, of equal shape. */
function bytesOf(tensors) {
  const [low, high] = ["low", "high"].map((name) => tensors.get(name));
  const isWhole = low?.dtype === "U8" && high?.dtype === "U8" && low.data.length > 0 &&
    high.data.length === low.data.length;
  if (!isWhole) throw new FieldError("A part of the map is damaged, or of another version.");
  return { low: low.data, high: high.data, shape: low.shape };
}

/**
 * Heights of a block's cells, 0 to 1 over the range of z, and of one more cell on each side.
 * @returns {Promise<{width: number, height: number, shares: Float32Array}>} shares [y, x]
 */
export async function readDepth(packed) {
  const { metadata, tensors } = await unpacked(packed);
  const { low, high, shape } = bytesOf(tensors);
  if (metadata.format !== DEPTH_FORMAT || shape.length !== 2) {
    throw new FieldError("A part of the depth is damaged, or of another version.");
  }
  const shares = Float32Array.from(low, (byte, n) => (byte | (high[n] << 8)) / 65535);
  return { width: shape[1], height: shape[0], shares };
}

/** Heights of a block as a texture that is sampled between cells. */
export function uploadDepth(gl, { width, height, shares }) {
  const texture = makeTexture(gl, gl.TEXTURE_2D, gl.LINEAR);
  gl.texStorage2D(gl.TEXTURE_2D, 1, gl.R16F, width, height);
  gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RED, gl.FLOAT, shares);
  return texture;
}

/**
 * Values of a tile's file.
 * @param {ArrayBuffer} packed
 * @param {string} packing
 * @returns {Promise<{width: number, height: number, planes: number, values: Uint16Array,
 *   mean: Float32Array}>} values [plane, y, x, 2] as the bits of half floats, mean [plane, 2]
 */
export async function readTile(packed, packing) {
  const { metadata, tensors } = await unpacked(packed, packing);
  const halves = tensors.get("halves");
  const { low, high, shape } = halves ?? bytesOf(tensors);
  const mean = tensors.get("mean");
  const isWhole = metadata.format === FORMAT && shape.length === 4 &&
    shape[halves ? 3 : 1] === 2 && mean?.dtype === "F32" && mean.data.length === 2 * shape[0] &&
    (halves ? halves.dtype === "F16" && halves.data.length > 0 : metadata.step > 0);
  if (!isWhole) throw new FieldError("A tile of the map is damaged, or of another version.");
  const [planes, height, width] = halves ? shape : [shape[0], shape[2], shape[3]];
  const values = halves ? halves.data : unfolded(low, high, shape, metadata.step);
  return { width, height, planes, mean: mean.data, values };
}

/** Values [plane, y, x, 2] of the differences that are stored. */
function unfolded(low, high, [planes, , height, width], step) {
  const halves = halvesOf(step);
  const values = new Uint16Array(low.length);
  const line = new Uint16Array(width); // wraps as the differences did
  let from = 0;
  for (let plane = 0; plane < planes; plane++) {
    for (let part = 0; part < 2; part++) {
      line.fill(0);
      let to = 2 * plane * height * width + part;
      for (let y = 0; y < height; y++) {
        let along = 0;
        for (let x = 0; x < width; x++, from++, to += 2) {
          const zigzag = low[from] | (high[from] << 8);
          along += (zigzag >>> 1) ^ -(zigzag & 1);
          line[x] += along;
          values[to] = halves[line[x]];
        }
      }
    }
  }
  return values;
}

let latest = { step: 0, table: null };

/** Bits of the half float of every whole number of 16 bits, times a step. */
function halvesOf(step) {
  if (latest.step === step) return latest.table;
  const floats = Float32Array.from({ length: 65536 }, (_, n) => ((n << 16) >> 16) * step);
  const table = Uint16Array.from(new Uint32Array(floats.buffer), (bits) => {
    const rounded = bits + 0x1000;
    const exponent = ((rounded >>> 23) & 0xff) - 112;
    const sign = (bits >>> 16) & 0x8000;
    if (exponent <= 0) return sign; // below what a half can hold
    return sign | (exponent >= 31 ? 0x7c00 : (exponent << 10) | ((rounded >>> 13) & 0x3ff));
  });
  latest = { step, table };
  return table;
}

/** Planes of a tile as a texture that is sampled between pixels. */
export function uploadTile(gl, { width, height, planes, values }) {
  const texture = makeTexture(gl, gl.TEXTURE_2D_ARRAY, gl.LINEAR);
  gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.RG16F, width, height, planes);
  gl.texSubImage3D(
    gl.TEXTURE_2D_ARRAY, 0, 0, 0, 0, width, height, planes, gl.RG, gl.HALF_FLOAT, values);
  return texture;
}
