// The display pass: a layer's samples as colours on the canvas.

import { bindTextures, compile, drawAll, makeTexture } from "./gl.js";
import { TILE } from "./layer.js";

const VIEWS = { amplitude: 0, phase: 1, depth: 2 };

export class Display {
  /** @param {{cyclic: Uint8Array, depth: Uint8Array}} tables 256 RGB colours each */
  constructor(gl, shaders, tables) {
    this.gl = gl;
    this.program = compile(gl, shaders["whole.vert"], shaders["display.frag"]);
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
    const { gl, program } = this;
    const { width, height } = gl.canvas;
    const { uniform } = program;
    const { field } = layer.source;
    const { preview } = layer;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, width, height);
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(how.left, 0, Math.max(how.right - how.left, 0), height);
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
    drawAll(gl);
    gl.disable(gl.SCISSOR_TEST);
  }
}
