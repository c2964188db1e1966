// Two canvases and a camera over an image: moving, zooming, turning, and a picture of what is shown.

import * as cameras from "./camera.js";
import { startGl } from "./gl.js";

/** What App and MapApp share; they set `field` before they `fit`, and give `changed` and `draw`. */
export class Stage {
  /**
   * @param {HTMLCanvasElement} image
   * @param {HTMLCanvasElement} overlay
   */
  constructor(image, overlay) {
    this.gl = startGl(image);
    this.image = image;
    this.overlay = overlay.getContext("2d");
    this.camera = null;
    image.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.onLost?.();
    });
  }

  /** Look through a camera of `camera.js`. */
  look(camera) {
    this.camera = camera;
    this.changed();
  }

  fit() {
    this.look(this.#fitted(this.camera?.turns ?? 0));
  }

  rotate() {
    this.look(this.#fitted((this.camera.turns + 1) % 4));
  }

  zoom(factor, at = this.middle) {
    this.look(cameras.zoomed(this.camera, this.image, this.field, factor, at));
  }

  pan(moved) {
    this.look(cameras.panned(this.camera, this.field, moved));
  }

  /** Of the canvas, in its pixels. */
  get middle() {
    return [this.image.width / 2, this.image.height / 2];
  }

  /** Canvas pixels -> continuous image position; pixel (0, 0) has its centre at (0.5, 0.5). */
  placeAt(canvasPoint) {
    return cameras.imagePoint(this.camera, this.image, canvasPoint);
  }

  isInside([x, y]) {
    return x >= 0 && y >= 0 && x < this.field.width && y < this.field.height;
  }

  /** Follow the window's size; what is fitted stays so. */
  resize() {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const { clientWidth, clientHeight } = this.image;
    const size = [clientWidth, clientHeight].map((n) => Math.max(1, Math.round(n * ratio)));
    if (this.image.width === size[0] && this.image.height === size[1]) return;
    const before = this.camera && this.#fitted(this.camera.turns).scale;
    this.ratio = ratio;
    for (const canvas of [this.image, this.overlay.canvas]) {
      [canvas.width, canvas.height] = size;
    }
    if (!this.camera) return;
    const isFitted = Math.abs(this.camera.scale - before) < 1e-9;
    this.look(isFitted ? this.#fitted(this.camera.turns) : this.camera);
  }

  /** A PNG of what is shown, scale bar and marks included. */
  async png() {
    this.draw();
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [this.image.width, this.image.height];
    const context = copy.getContext("2d");
    context.drawImage(this.image, 0, 0);
    context.drawImage(this.overlay.canvas, 0, 0);
    return new Promise((resolve) => copy.toBlob(resolve, "image/png"));
  }

  #fitted(turns) {
    return cameras.fitted(this.field.width, this.field.height, this.image, turns);
  }
}
