// What can be sampled on the graphics card: a spline or neural field, or stored planes.
// All draw amplitude and phase of any grid of points into a float target.

import { FieldError } from "./container.js";
import { decodersText } from "./decoders.js";
import { bindTextures, compile, makeTexture } from "./gl.js";
import { drawGrid } from "./grid.js";
import { SplineSource } from "./spline.js";

const MOST_HIDDEN = 128; // units of a hidden layer: more would make an endless shader

/** A source for a field of `readField`. `shaders` maps file names to text. */
export function makeSource(gl, field, shaders) {
  const Source = { spline: SplineSource, neural: NeuralSource, planes: PlanesSource }[field.kind];
  return new Source(gl, field, shaders);
}

class NeuralSource {
  constructor(gl, field, shaders) {
    this.gl = gl;
    this.field = field;
    this.shaders = shaders;
    this.channelQuads = Math.ceil(field.channels / 4);
    this.#refuseTooLarge();
    this.codes = lineCodes(field, this.channelQuads);
    this.decoders = decodersText(field);
    this.program = this.#compile({});
    this.plane = this.#makePlane();
  }

  /** Sample one height: {z} in um; or each point's own: {depth}, a texture as neural.frag wants. */
  draw(height, grid, target) {
    const { gl, field } = this;
    const atDepth = height.depth !== undefined;
    if (atDepth) this.depthProgram ??= this.#compile({ AT_DEPTH: 1 });
    const program = atDepth ? this.depthProgram : this.program;
    gl.useProgram(program.program);
    const textures = [[gl.TEXTURE_2D_ARRAY, this.plane, "plane"]];
    if (atDepth) {
      this.line ??= this.#makeLine();
      textures.push([gl.TEXTURE_2D, height.depth, "depth"], [gl.TEXTURE_2D, this.line, "line"]);
      gl.uniform1i(program.uniform("lastNode"), field.nodes - 1);
    } else {
      const { scale, offset } = codeAt(this.codes, linePosition(field, height.z));
      gl.uniform4fv(program.uniform("scale"), scale);
      gl.uniform4fv(program.uniform("offset"), offset);
    }
    bindTextures(gl, program, textures);
    drawGrid(gl, program, field, grid, target);
  }

  #compile(more) {
    const fragment = this.shaders["neural.frag"].replace("// {{decoders}}", this.decoders);
    return compile(this.gl, this.shaders["whole.vert"], fragment, {
      CHANNEL_QUADS: this.channelQuads,
      SETS: this.field.sets,
      ...more,
    });
  }

  #refuseTooLarge() {
    const { gl, field } = this;
    const layers = field.sets * this.channelQuads;
    if (
      Math.max(field.plane.width, field.plane.height) > gl.getParameter(gl.MAX_TEXTURE_SIZE) ||
      layers > gl.getParameter(gl.MAX_ARRAY_TEXTURE_LAYERS) ||
      2 * layers + 16 > gl.getParameter(gl.MAX_FRAGMENT_UNIFORM_VECTORS) ||
      field.hidden > MOST_HIDDEN
    ) {
      throw new FieldError("This field is larger than this graphics card takes.");
    }
  }

  #makePlane() {
    const { gl, field, channelQuads } = this;
    const { width, height, dtype, data } = field.plane;
    const [internal, type] = {
      U8: [gl.RGBA8, gl.UNSIGNED_BYTE],
      F16: [gl.RGBA16F, gl.HALF_FLOAT],
      F32: [gl.RGBA16F, gl.FLOAT],
    }[dtype] ?? [];
    if (!type) throw new FieldError("The field file is damaged: plane is invalid.");
    const texture = makeTexture(gl, gl.TEXTURE_2D_ARRAY, gl.LINEAR);
    gl.texStorage3D(
      gl.TEXTURE_2D_ARRAY, 1, internal, width, height, field.sets * channelQuads);
    const layer = new data.constructor(4 * width * height);
    const perSet = width * height * field.channels;
    for (let quad = 0; quad < field.sets * channelQuads; quad++) {
      const set = Math.floor(quad / channelQuads);
      const stored = data.subarray(set * perSet, (set + 1) * perSet);
      pickQuad(stored, field.channels, 4 * (quad % channelQuads), layer);
      refuseNotFinite(layer, dtype);
      gl.texSubImage3D(
        gl.TEXTURE_2D_ARRAY, 0, 0, 0, quad, width, height, 1, gl.RGBA, type, layer);
    }
    return texture;
  }

  #makeLine() {
    const { gl, field, codes } = this;
    const texture = makeTexture(gl, gl.TEXTURE_2D, gl.NEAREST);
    const rows = codes.flatMap(({ scale, offset }) => [...scale, ...offset]);
    const width = field.sets * this.channelQuads;
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA32F, width, 2 * codes.length);
    gl.texSubImage2D(
      gl.TEXTURE_2D, 0, 0, 0, width, 2 * codes.length, gl.RGBA, gl.FLOAT, Float32Array.from(rows));
    return texture;
  }
}

class PlanesSource {
  constructor(gl, field, shaders) {
    this.gl = gl;
    this.field = field;
    const count = field.planesUm.length;
    if (
      Math.max(field.width, field.height) > gl.getParameter(gl.MAX_TEXTURE_SIZE) ||
      count > gl.getParameter(gl.MAX_ARRAY_TEXTURE_LAYERS)
    ) {
      throw new FieldError("These images are larger than this graphics card takes.");
    }
    this.program = compile(gl, shaders["whole.vert"], shaders["planes.frag"]);
    this.texture = makeTexture(gl, gl.TEXTURE_2D_ARRAY, gl.NEAREST);
    const [internal, format] =
      field.parts === 2 ? [gl.RG32F, gl.RG] : [gl.R32F, gl.RED];
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, internal, field.width, field.height, count);
    gl.texSubImage3D(
      gl.TEXTURE_2D_ARRAY, 0, 0, 0, 0, field.width, field.height, count, format, gl.FLOAT,
      field.image);
  }

  draw(height, grid, target) {
    const { gl, field, program } = this;
    gl.useProgram(program.program);
    bindTextures(gl, program, [[gl.TEXTURE_2D_ARRAY, this.texture, "planes"]]);
    gl.uniform1i(program.uniform("plane"), nearestPlane(field, height.z));
    drawGrid(gl, program, field, grid, target);
  }
}

/** Index of the stored plane nearest to a height. */
export function nearestPlane(field, z) {
  let nearest = 0;
  field.planesUm.forEach((plane, index) => {
    if (Math.abs(plane - z) < Math.abs(field.planesUm[nearest] - z)) nearest = index;
  });
  return nearest;
}

/** Where a height lies on the z line, in nodes. */
export function linePosition(field, z) {
  const [low, high] = field.zRange;
  if (field.nodes === 1 || low === high) return 0;
  return Math.min(Math.max((z - low) / (high - low), 0), 1) * (field.nodes - 1);
}

/** Scale and offset of the stored features at every node of the z line, in whole vec4s. */
export function lineCodes(field, channelQuads) {
  const { sets, nodes, channels, line, scale } = field;
  return Array.from({ length: nodes }, (_, node) => {
    const code = {
      scale: new Float32Array(4 * sets * channelQuads),
      offset: new Float32Array(4 * sets * channelQuads),
    };
    for (let set = 0; set < sets; set++) {
      for (let channel = 0; channel < channels; channel++) {
        const value = line[(set * nodes + node) * channels + channel];
        const at = 4 * set * channelQuads + channel;
        const stored = set * channels + channel;
        // the card gives bytes as 0 to 1
        code.scale[at] = scale ? value * scale.step[stored] * 255 : value;
        code.offset[at] = scale ? value * scale.low[stored] : 0;
      }
    }
    return code;
  });
}

function codeAt(codes, position) {
  const node = Math.min(Math.floor(position), Math.max(codes.length - 2, 0));
  const next = Math.min(node + 1, codes.length - 1);
  const share = position - node;
  const mix = (name) =>
    codes[node][name].map((value, i) => value + share * (codes[next][name][i] - value));
  return { scale: mix("scale"), offset: mix("offset") };
}

/** Copy channels first to first + 3 of every pixel; those that do not exist stay zero. */
function pickQuad(stored, channels, first, layer) {
  const there = Math.min(4, channels - first);
  const pixels = layer.length / 4;
  if (there === 4 && channels % 2 === 0 && layer.BYTES_PER_ELEMENT === 2 &&
      stored.byteOffset % 4 === 0) {
    // two halves at a time: most of the time that a large field takes to open is spent here
    const from = new Uint32Array(stored.buffer, stored.byteOffset, stored.length >> 1);
    const to = new Uint32Array(layer.buffer);
    const stride = channels >> 1;
    for (let pixel = 0, at = first >> 1; pixel < pixels; pixel++, at += stride) {
      to[2 * pixel] = from[at];
      to[2 * pixel + 1] = from[at + 1];
    }
    return;
  }
  if (there < 4) layer.fill(0);
  for (let pixel = 0; pixel < pixels; pixel++) {
    for (let i = 0; i < there; i++) layer[4 * pixel + i] = stored[pixel * channels + first + i];
  }
}

function refuseNotFinite(layer, dtype) {
  const isFinite =
    dtype === "U8" || (dtype === "F16" ? halvesFinite(layer) : layer.every(Number.isFinite));
  if (!isFinite) throw new FieldError("The field file is damaged: plane is not finite.");
}

function halvesFinite(bits) {
  for (let i = 0; i < bits.length; i++) if ((bits[i] & 0x7c00) === 0x7c00) return false;
  return true;
}
