// Where the bytes of a field come from: an address of this page's server, or the page itself.

import { FieldError } from "./container.js";

/**
 * @param {{address?: string, element?: string, packing?: string}} source
 * @returns {Promise<ArrayBuffer>}
 */
export async function readSource({ address, element, packing }) {
  if (element) return readElement(document.getElementById(element), packing);
  try {
    const response = await fetch(address);
    if (response.ok) return await response.arrayBuffer();
  } catch {
    // as when the server has ended: told below
  }
  throw new FieldError("The field could not be fetched. Is `fpm-inr view` still running?");
}

/** Bytes at an address beside this page; a signal that aborts ends the request. */
export async function readBytes(address, signal) {
  let response;
  try {
    response = await fetch(address, { signal });
    if (response.ok) return await response.arrayBuffer();
  } catch (error) {
    if (signal.aborted) throw error;
    throw new FieldError("A part of the map could not be fetched. Is its server still running?");
  }
  throw new FieldError(
    (await response.text()).slice(0, 300) || "A part of the map is missing on the server.");
}

async function readElement(element, packing) {
  if (packing === "gzip" && typeof DecompressionStream === "undefined") {
    throw new FieldError("This browser cannot unpack the field. Use a version from 2023 or later.");
  }
  try {
    const bytes = fromBase64(element.textContent);
    element.remove(); // tens of megabytes of text
    if (packing === "none") return bytes.buffer;
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return await new Response(unpacked).arrayBuffer();
  } catch {
    throw new FieldError("The field in this page is damaged: it cannot be unpacked.");
  }
}

export function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
