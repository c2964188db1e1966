// Coarser pictures while something changes, where all pixels take too long: how coarse they must be.

import { dropTarget, makeTarget } from "./gl.js";

const QUICK_MS = 40; // that a picture may take
const COARSEST = 4; // canvas pixels that a drawn one spans, at most

export class Draft {
  #gl;
  #target = null;
  #timed = null; // the picture whose drawing is being timed
  #msPerPixel = new Map(); // by what is shown

  constructor(gl) {
    this.#gl = gl;
  }

  /** Canvas pixels that a pixel spans, so that so many canvas pixels are drawn in time. */
  stepFor(kind, pixels) {
    this.#look();
    const ms = (this.#msPerPixel.get(kind) ?? 0) * pixels;
    return ms <= QUICK_MS ? 1 : Math.min(Math.ceil(Math.sqrt(ms / QUICK_MS)), COARSEST);
  }

  /** Draw a picture, coarser by a step, over the whole canvas. `draw` has the viewport set. */
  run(kind, step, pixels, draw) {
    const gl = this.#gl;
    const { width, height } = gl.canvas;
    const [w, h] = [width, height].map((side) => Math.ceil(side / step));
    const target = step > 1 ? this.#sized(w, h) : null;
    gl.bindFramebuffer(gl.FRAMEBUFFER, target?.framebuffer ?? null);
    gl.viewport(0, 0, w, h);
    const began = performance.now();
    draw();
    if (target) {
      gl.bindFramebuffer(gl.DRAW_FRAMEBUFFER, null);
      gl.blitFramebuffer(0, 0, w, h, 0, 0, width, height, gl.COLOR_BUFFER_BIT, gl.LINEAR);
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    }
    if (this.#timed) return;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    this.#timed = { fence, began, kind, step, pixels: pixels / step ** 2 };
    gl.flush();
    requestAnimationFrame(() => this.#look());
  }

  /** Whether the picture that was timed is there; what it took. */
  #look() {
    if (!this.#timed) return;
    const gl = this.#gl;
    const { fence, began, kind, step, pixels } = this.#timed;
    if (gl.clientWaitSync(fence, 0, 0) === gl.TIMEOUT_EXPIRED) {
      requestAnimationFrame(() => this.#look());
      return;
    }
    gl.deleteSync(fence);
    this.#timed = null;
    const took = (performance.now() - began) / Math.max(pixels, 1);
    const known = this.#msPerPixel.get(kind) ?? took;
    // of a coarse one much is not for pixels: it tells no more than that it takes no longer
    this.#msPerPixel.set(kind, step > 1 ? Math.min(known, took) : (known + took) / 2);
  }

  #sized(width, height) {
    const target = this.#target;
    if (target?.width === width && target.height === height) return target;
    if (target) dropTarget(this.#gl, target);
    this.#target = makeTarget(this.#gl, width, height, this.#gl.RGBA8);
    return this.#target;
  }
}
