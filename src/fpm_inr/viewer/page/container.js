// The safetensors container: eight bytes of length, a JSON header, raw tensors. Nothing in a file
// is trusted: every length, type and offset is checked before it is used.

/** A message for the person who opened the file. */
export class FieldError extends Error {}

const ARRAYS = {
  U8: Uint8Array, I8: Int8Array, I16: Int16Array, I32: Int32Array,
  F16: Uint16Array, F32: Float32Array, F64: Float64Array,
};
const LONGEST_HEADER = 1e7;

/**
 * Read a container.
 * @param {ArrayBuffer} buffer
 * @returns {{metadata: Object, tensors: Map<string, {dtype: string, shape: number[], data}>}}
 *   Half floats stay as their bits, in a Uint16Array.
 */
export function readContainer(buffer) {
  if (buffer.byteLength < 8) throw new FieldError("The field file is empty or cut off.");
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  if (length > LONGEST_HEADER || 8 + length > buffer.byteLength) {
    throw new FieldError("The field file is damaged: its header does not fit into it.");
  }
  const header = parseJson(new Uint8Array(buffer, 8, length), "header");
  const tensors = new Map();
  for (const [name, entry] of Object.entries(header)) {
    if (name !== "__metadata__") tensors.set(name, readTensor(name, entry, buffer, 8 + length));
  }
  const text = header.__metadata__?.["fpm-inr"];
  if (typeof text !== "string") {
    throw new FieldError("The file is no field of fpm-inr. Give a field.safetensors.");
  }
  return { metadata: parseJson(new TextEncoder().encode(text), "description"), tensors };
}

function readTensor(name, entry, buffer, start) {
  const damaged = new FieldError(`The field file is damaged: tensor ${shorten(name)} is invalid.`);
  const { dtype, shape, data_offsets: offsets } = entry ?? {};
  const whole = (list) =>
    Array.isArray(list) && list.every((n) => Number.isSafeInteger(n) && n >= 0);
  if (!Object.hasOwn(ARRAYS, dtype) || !whole(shape) || !whole(offsets) || offsets.length !== 2) {
    throw damaged;
  }
  const TypedArray = ARRAYS[dtype];
  const count = shape.reduce((product, n) => product * n, 1);
  const bytes = count * TypedArray.BYTES_PER_ELEMENT;
  if (offsets[1] - offsets[0] !== bytes || start + offsets[1] > buffer.byteLength) throw damaged;
  const at = start + offsets[0];
  const data =
    at % TypedArray.BYTES_PER_ELEMENT === 0
      ? new TypedArray(buffer, at, count)
      : new TypedArray(buffer.slice(at, at + bytes));
  return { dtype, shape, data };
}

function parseJson(bytes, what) {
  let value;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new FieldError(`The field file is damaged: its ${what} cannot be read.`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new FieldError(`The field file is damaged: its ${what} is not what it should be.`);
  }
  return value;
}

function shorten(text) {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
