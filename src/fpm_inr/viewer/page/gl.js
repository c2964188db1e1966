// The few WebGL2 calls that everything else is made of.

import { FieldError } from "./container.js";

/** Start WebGL2, or say plainly what is missing. */
export function startGl(canvas) {
  const gl = canvas.getContext("webgl2", {
    alpha: false, antialias: false, depth: false,
    preserveDrawingBuffer: true, // what is shown stays, and only what is new is drawn over it
  });
  if (!gl) {
    throw new FieldError(
      "This browser gives no WebGL2, which decodes the field. Use a current Chrome, Edge, " +
        "Firefox or Safari with hardware acceleration switched on.",
    );
  }
  if (!gl.getExtension("EXT_color_buffer_float")) {
    throw new FieldError(
      "This graphics card cannot draw floating-point images (EXT_color_buffer_float), " +
        "which the field is decoded into. Use another device or browser.",
    );
  }
  gl.bindVertexArray(gl.createVertexArray());
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  gl.pixelStorei(gl.PACK_ALIGNMENT, 1);
  return gl;
}

/** A program; `uniform(name)` gives its locations. */
export function compile(gl, vertex, fragment, defines = {}) {
  const program = gl.createProgram();
  const lines = Object.entries(defines).map(([name, value]) => `#define ${name} ${value}\n`);
  for (const [type, source] of [
    [gl.VERTEX_SHADER, vertex],
    [gl.FRAGMENT_SHADER, fragment],
  ]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source.replace(/^#version.*\n/, (first) => first + lines.join("")));
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    const log = [...gl.getAttachedShaders(program)].map((shader) => gl.getShaderInfoLog(shader));
    console.error(...log, gl.getProgramInfoLog(program));
    throw new FieldError("This graphics card does not take the decoders of this field.");
  }
  const locations = new Map();
  const uniform = (name) => {
    if (!locations.has(name)) locations.set(name, gl.getUniformLocation(program, name));
    return locations.get(name);
  };
  return { program, uniform };
}

/** A texture with clamped edges. `filter` is gl.NEAREST or gl.LINEAR. */
export function makeTexture(gl, target, filter) {
  const texture = gl.createTexture();
  gl.bindTexture(target, texture);
  gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, filter);
  gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, filter);
  gl.texParameteri(target, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(target, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  return texture;
}

/** A float image to draw into: red amplitude, green phase (or of another format). */
export function makeTarget(gl, width, height, format = gl.RG32F) {
  const texture = makeTexture(gl, gl.TEXTURE_2D, gl.NEAREST);
  gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
  const framebuffer = gl.createFramebuffer();
  gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer);
  gl.framebufferTexture2D(
    gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  return { texture, framebuffer, width, height };
}

/** Free a target. */
export function dropTarget(gl, target) {
  gl.deleteFramebuffer(target.framebuffer);
  gl.deleteTexture(target.texture);
}

/** Bind textures ([target, texture, uniform name]) to units 0, 1, ... of the program in use. */
export function bindTextures(gl, program, bindings) {
  bindings.forEach(([target, texture, name], unit) => {
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(target, texture);
    gl.uniform1i(program.uniform(name), unit);
  });
}

/** Draw one triangle that covers the viewport. */
export function drawAll(gl) {
  gl.drawArrays(gl.TRIANGLES, 0, 3);
}
