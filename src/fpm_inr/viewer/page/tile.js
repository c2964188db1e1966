// A tile's file: unpacked, checked, and put on the graphics card.

import { FieldError, readContainer } from "./container.js";
import { makeTexture } from "./gl.js";

const FORMAT = "fpm-inr tile 1";

/**
 * Values of a tile's file.
 * @param {ArrayBuffer} packed
 * @returns {Promise<{width: number, height: number, planes: number, values: Float32Array,
 *   mean: Float32Array}>} values [plane, y, x, 2], mean [plane, 2]
 */
export async function readTile(packed) {
  let buffer;
  try {
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    buffer = await new Response(stream).arrayBuffer();
  } catch {
    throw new FieldError("A tile of the map is damaged: it cannot be unpacked.");
  }
  const { metadata, tensors } = readContainer(buffer);
  const [low, high, mean] = ["low", "high", "mean"].map((name) => tensors.get(name));
  const { format, step } = metadata;
  const isWhole = format === FORMAT && step > 0 && low?.dtype === "U8" && high?.dtype === "U8" &&
    mean?.dtype === "F32" && low.shape.length === 4 && low.shape[1] === 2 &&
    low.data.length > 0 && high.data.length === low.data.length &&
    mean.data.length === 2 * low.shape[0];
  if (!isWhole) throw new FieldError("A tile of the map is damaged, or of another version.");
  const [planes, , height, width] = low.shape;
  return {
    width, height, planes, mean: mean.data, values: unfolded(low.data, high.data, low.shape, step),
  };
}

/** Values [plane, y, x, 2] of the differences that are stored. */
function unfolded(low, high, [planes, , height, width], step) {
  const values = new Float32Array(low.length);
  const line = new Int32Array(width);
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
          values[to] = ((line[x] << 16) >> 16) * step; // wraps as it did in 16 bits
        }
      }
    }
  }
  return values;
}

/** Planes of a tile as a texture that is sampled between pixels. */
export function uploadTile(gl, { width, height, planes, values }) {
  const texture = makeTexture(gl, gl.TEXTURE_2D_ARRAY, gl.LINEAR);
  gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.RG16F, width, height, planes);
  gl.texSubImage3D(
    gl.TEXTURE_2D_ARRAY, 0, 0, 0, 0, width, height, planes, gl.RG, gl.FLOAT, values);
  return texture;
}
