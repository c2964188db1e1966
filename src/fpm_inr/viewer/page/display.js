// The display pass: a layer's samples as colours on the canvas.

import { bindTextures, compile, drawAll, dropTarget, makeTarget, makeTexture } from "./gl.js";
import { TILE } from "./layer.js";

const VIEWS = { amplitude: 0, phase: 1, depth: 2, colour: 3 };

export class Display {
  /** @param {{cyclic: Uint8Array, depth: Uint8Array}} tables 256 RGB colours each */
  constructor(gl, shaders, tables) {
    this.gl = gl;
    this.program = compile(gl, shaders["whole.vert"], shaders["display.frag"]);
    this.encode = compile(gl, shaders["whole.vert"], shaders["encode.frag"]);
    this.sums = null;
    this.colours = makeTexture(gl, gl.TEXTURE_2D, gl.NEAREST);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGB8, 256, 2);
    const rows = new Uint8Array([...tables.cyclic, ...tables.depth]);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, 256, 2, gl.RGB, gl.UNSIGNED_BYTE, rows);
  }

  /**
   * Draw a layer.
   * @param {Object} how map (canvas to image pixels), view, range, cyclic, reference, depth (a
   *   texture), left and right (canvas x between which it is drawn)
   */
  draw(layer, how) {
    const { gl } = this;
    const { width, height } = gl.canvas;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, width, height);
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(how.left, 0, Math.max(how.right - how.left, 0), height);
    this.#shade(layer, how);
    gl.disable(gl.SCISSOR_TEST);
  }

  /**
   * Draw the colour that layers make together.
   * @param {{layer: Object, map: Object, part: number[]}[]} parts linear sRGB of intensity 1 each
   */
  drawColour(parts) {
    const { gl } = this;
    const { width, height } = gl.canvas;
    const sums = this.#sums(width, height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, sums.framebuffer);
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE);
    for (const { layer, map, part } of parts) {
      const how = { map, part, view: "colour", range: [0, 1], reference: 0, depth: null };
      this.#shade(layer, { ...how, cyclic: false });
    }
    gl.disable(gl.BLEND);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.useProgram(this.encode.program);
    bindTextures(gl, this.encode, [[gl.TEXTURE_2D, sums.texture, "sums"]]);
    gl.uniform1f(this.encode.uniform("count"), parts.length);
    drawAll(gl);
  }

  /** Half floats of the canvas's size to add colours in. */
  #sums(width, height) {
    const { gl, sums } = this;
    if (sums?.width === width && sums?.height === height) return sums;
    if (sums) dropTarget(gl, sums);
    this.sums = makeTarget(gl, width, height, gl.RGBA16F);
    return this.sums;
  }

  #shade(layer, how) {
    const { gl, program } = this;
    const { height } = gl.canvas;
    const { uniform } = program;
    const { field } = layer.source;
    const { preview } = layer;
    gl.useProgram(program.program);
    bindTextures(gl, program, [
      [gl.TEXTURE_2D, layer.full.texture, "full"],
      [gl.TEXTURE_2D, layer.ready, "ready"],
      [gl.TEXTURE_2D, preview.texture, "preview"],
      [gl.TEXTURE_2D, how.depth ?? this.colours, "depth"],
      [gl.TEXTURE_2D, this.colours, "colours"],
    ]);
    gl.uniform2f(uniform("imageSize"), field.width, field.height);
    gl.uniform2f(uniform("previewOrigin"), ...preview.origin);
    gl.uniform2f(uniform("previewSize"), ...preview.used);
    gl.uniform1f(uniform("previewStep"), preview.step);
    gl.uniform1i(uniform("tile"), TILE);
    gl.uniform1f(uniform("canvasHeight"), height);
    gl.uniform2f(uniform("toOrigin"), ...how.map.origin);
    gl.uniform2f(uniform("toX"), ...how.map.toX);
    gl.uniform2f(uniform("toY"), ...how.map.toY);
    gl.uniform1i(uniform("view"), VIEWS[how.view]);
    gl.uniform1i(uniform("cyclic"), how.cyclic ? 1 : 0);
    gl.uniform2f(uniform("range"), ...how.range);
    gl.uniform1f(uniform("reference"), how.reference);
    gl.uniform3f(uniform("part"), ...(how.part ?? [0, 0, 0]));
    drawAll(gl);
  }
}
