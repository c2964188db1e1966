// The viewer: what is shown, and how it comes to be shown. Controls change it; it tells `onChange`.

import * as cameras from "./camera.js";
import { FieldError } from "./container.js";
import { Display } from "./display.js";
import { gridOf } from "./grid.js";
import { drawOverlay } from "./overlay.js";
import { Pace } from "./pace.js";
import { Pane } from "./pane.js";
import { Probe } from "./probe.js";
import { profileAlong } from "./profile.js";
import { focusAt, scanDepth, scanHeights } from "./scan.js";
import { makeSource } from "./source.js";
import { Stage } from "./stage.js";
import { wrapped } from "./statistics.js";

export const VIEWS = ["amplitude", "phase", "focus", "depth"];
const LARGEST_TARGET = 8192;

export class App extends Stage {
  #scheduled = false;
  #isDirty = true;
  #scanning = null;

  /**
   * @param {HTMLCanvasElement} image
   * @param {HTMLCanvasElement} overlay
   * @param {{name: string, field: Object, channel: ?Object}[]} files one or two; or, with a
   *   channel each, the wavelengths of one specimen, the reference first
   */
  constructor(image, overlay, files, { shaders, tables }) {
    super(image, overlay);
    const { gl } = this;
    this.pace = new Pace(gl);
    this.probe = new Probe(gl);
    this.panes = files.map(({ name, field, channel }) => {
      if (Math.max(field.width, field.height) > LARGEST_TARGET) {
        throw new FieldError(`This page shows images of at most ${LARGEST_TARGET} pixels a side.`);
      }
      const source = makeSource(gl, field, shaders);
      return new Pane(gl, source, this.probe, this.pace, name, channel);
    });
    this.isSet = this.panes.every((pane) => pane.channel);
    this.isOn = this.panes.map(() => true); // of wavelengths
    this.display = new Display(gl, shaders, tables);
    this.tables = tables;
    this.main = this.panes[0];
    this.field = this.main.field;
    this.z = (this.zRange[0] + this.zRange[1]) / 2;
    this.view = "amplitude";
    this.divider = this.panes.length > 1 && !this.isSet ? 0.5 : null;
    this.percent = 0.5;
    this.manual = { amplitude: null, phase: null }; // [low, high] in shown units
    this.point = null;
    this.line = null;
    this.focus = null;
    this.profile = null;
    this.onChange = () => {};
    this.resize();
    this.fit();
  }

  get canFocus() {
    return scanHeights(this.field).length >= 3;
  }

  get canScan() {
    return this.canFocus && this.field.kind !== "planes";
  }

  /** Heights that can be shown, as the first pane counts them: those that all wavelengths have. */
  get zRange() {
    if (!this.isSet) return this.panes[0].zRange;
    const ranges = this.panes.map((pane) => pane.zRange);
    return [Math.max(...ranges.map(([low]) => low)), Math.min(...ranges.map(([, high]) => high))];
  }

  /** Whether wavelengths are shown together, as a colour. */
  get isColour() {
    return this.isSet && this.isOn.filter(Boolean).length > 1 && this.#scale === "amplitude" &&
      this.view !== "depth";
  }

  /** Take wavelengths in or out; one alone is shown in grey, with all that one field has. */
  setChannels(isOn) {
    if (!this.isSet || !isOn.some(Boolean)) return;
    this.isOn = [...isOn];
    const main = this.panes[this.isOn.indexOf(true)];
    if (main !== this.main) {
      this.main = main;
      this.field = main.field;
      this.focus = null;
      if (this.view === "focus" || this.view === "depth") this.view = "amplitude";
    }
    if (this.line) this.#readProfile();
    this.changed();
  }

  get isSettled() {
    return !this.#scheduled && !this.#scanning;
  }

  /** Show a height; leaves the views that show all heights at once. */
  setZ(z) {
    if (!Number.isFinite(z)) return;
    const [low, high] = this.zRange;
    this.z = Math.min(Math.max(z, low), high);
    if (this.view === "focus" || this.view === "depth") this.view = "amplitude";
    if (this.line) this.#readProfile();
    this.changed();
  }

  setView(view) {
    if (!VIEWS.includes(view) || (view === "phase" && !this.field.hasPhase)) return;
    if ((view === "focus" || view === "depth") && !this.main.depth) {
      if (this.canScan) this.#scan(view);
      return;
    }
    this.view = view;
    if (this.line) this.#readProfile();
    this.changed();
  }

  setDivider(share) {
    if (this.divider === null) return;
    this.divider = Math.min(Math.max(share, 0), 1);
    this.changed();
  }

  setPercent(percent) {
    this.percent = Math.min(Math.max(percent, 0), 25);
    this.manual[this.#scale] = null;
    this.changed();
  }

  /** Show these values as the ends of the scale; null: by percentile. */
  setRange(range) {
    if (range && !(range[1] > range[0])) return;
    this.manual[this.#scale] = range;
    this.changed();
  }

  /** Ends of the scale in shown units: sqrt(counts), rad, or um. */
  get range() {
    if (this.view === "depth") return this.main.depth.range.map((z) => z - this.main.higher);
    const range = this.#rangeOf(this.main, this.#scale);
    return this.#scale === "phase" ? range : range.map((v) => v * this.field.amplitudeScale);
  }

  get #scale() {
    return this.view === "phase" ? "phase" : "amplitude";
  }

  /** Go to the sharpest height at an image position. */
  focusOn([x, y]) {
    if (!this.canFocus || !this.isInside([x, y])) return null;
    this.point = [x, y];
    const { main } = this;
    const [column, row] = this.#pixelOf(main, [x, y]);
    const found = focusAt(main.source, this.probe, column, row);
    const z = [...found.z].map((height) => height - main.higher);
    this.focus = { ...found, z, best: found.best - main.higher };
    this.setZ(this.focus.best);
    return this.focus;
  }

  /** Values along a line between two image positions; null takes it away. */
  setLine(line) {
    this.line = line;
    this.profile = null;
    if (line) this.#readProfile();
    this.changed();
  }

  /** What is under an image position, in shown units. */
  valueAt(place) {
    if (!this.isInside(place)) return null;
    const [x, y] = this.#pixelOf(this.main, place);
    const { amplitude, phase } = this.probe.pixel(this.main.source, this.#height, x, y);
    return {
      x,
      y,
      amplitude: amplitude * this.field.amplitudeScale,
      phase: this.field.hasPhase ? wrapped(phase - this.#reference(this.main)) : null,
      depth: this.main.depth?.depthAt(x, y) ?? null,
      maps: this.panes.filter((pane) => pane.field.unit).map((pane) => this.#mapAt(pane, place)),
    };
  }

  /** What a map that is no amplitude says there, in words. */
  #mapAt(pane, place) {
    const [x, y] = this.#pixelOf(pane, place);
    const height = { z: pane.heightFor(this.z) };
    const value = this.probe.pixel(pane.source, height, x, y).amplitude;
    return `${pane.name} ${value.toPrecision(3)} ${pane.field.unit}`;
  }

  get labels() {
    return this.panes.map((pane) => this.#labelOf(pane));
  }

  /** A pane's name; of a map that is no amplitude with what is black and white in it. */
  #labelOf(pane) {
    if (!pane.field.unit) return pane.name;
    const [low, high] = this.#rangeOf(pane, "amplitude").map((value) => +value.toPrecision(2));
    return `${pane.name}: ${low} to ${high} ${pane.field.unit}`;
  }

  /** Amplitude and phase as stored of a rectangle of pixels at the height shown: [y, x, 2]. */
  read(x, y, width, height) {
    return this.probe.read(this.main.source, this.#height, gridOf(x, y, width, height));
  }

  get #height() {
    return this.#heightOf(this.main);
  }

  #heightOf(pane) {
    // heights of the texture are shares of a range, and wavelengths have ranges of one length
    const follows = pane === this.main || this.isSet;
    if (this.view === "focus" && follows) return { depth: this.main.depth.texture };
    return { z: pane.heightFor(this.z) };
  }

  /** The pixel of a pane at a place of the image. */
  #pixelOf(pane, place) {
    const { width, height } = pane.field;
    const shown = pane.channel && pane !== this.panes[0];
    const { factor, offset } = shown
      ? cameras.chromatic(this.panes[0].field, pane.field.pixelUm, pane.channel)
      : { factor: 1, offset: [0, 0] };
    return [width, height].map((side, axis) =>
      Math.min(Math.max(Math.floor(place[axis] * factor - offset[axis]), 0), side - 1));
  }

  #reference(pane) {
    if (pane === this.main && this.view === "focus") return pane.referenceAt(pane.heights[0]);
    return pane.referenceAt(pane.heightFor(this.z));
  }

  /** Depths that colours span, as shares of the z range: what the texture holds. */
  get #depthRange() {
    const [low, high] = this.field.zRange;
    return this.main.depth.range.map((z) => (z - low) / (high - low));
  }

  #rangeOf(pane, scale) {
    const manual = this.manual[scale];
    if (scale === "phase") return manual ?? [-pane.phaseLimit, pane.phaseLimit];
    if (manual) return manual.map((value) => value / pane.field.amplitudeScale);
    return pane.amplitudeRange(this.percent);
  }

  async #scan(view) {
    if (this.#scanning) {
      this.#scanning = view;
      return;
    }
    this.#scanning = view;
    const { gl, main } = this;
    main.depth = await scanDepth(gl, main.source, this.probe, async (share) => {
      this.onProgress?.(share);
      await new Promise((resolve) => setTimeout(resolve));
      return !gl.isContextLost();
    });
    this.onProgress?.(null);
    const last = this.#scanning;
    this.#scanning = null;
    this.setView(last);
  }

  #readProfile() {
    const isPhase = this.view === "phase";
    this.profile = profileAlong(this.line, this.field, {
      read: (grid) => this.probe.read(this.main.source, this.#height, grid),
      isPhase,
      reference: isPhase ? this.#reference(this.main) : 0,
    });
  }

  /** Tell that something else is to be shown. */
  changed() {
    this.#isDirty = true;
    this.onChange();
    this.#schedule();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#frame();
    });
  }

  /** Start the next batch of decoding when the last is done; draw when anything is new. */
  #frame() {
    if (this.gl.isContextLost()) return;
    let isBusy = this.pace.isBusy();
    if (!isBusy) {
      // wavelengths go from height to height together: the next is taken up when all are there
      if (!this.isColour || !this.#shown.some(({ layer }) => layer.wanted && layer.isBehind)) {
        for (const pane of this.#shown) pane.layer.want(this.#heightOf(pane));
      }
      for (const pane of this.#shown) {
        const map = this.#mapOf(pane);
        if (pane.layer.step(cameras.visibleArea(map, this.image))) {
          isBusy = true;
          this.#isDirty = true;
          break;
        }
      }
    }
    const isMixed = isBusy && this.isColour && this.#shown.some(({ layer }) => layer.isBehind);
    if (this.#isDirty && !isMixed) {
      this.draw();
      this.#isDirty = false;
    }
    if (isBusy) this.#schedule();
    else performance.mark("fpm-inr: sharp");
  }

  get #shown() {
    if (!this.isSet) return this.panes;
    return this.isColour ? this.panes.filter((_, n) => this.isOn[n]) : [this.main];
  }

  #mapOf(pane) {
    const map = cameras.toImage(this.camera, this.image);
    if (pane === this.panes[0]) return map;
    if (pane.channel) {
      const { factor, offset } =
        cameras.chromatic(this.panes[0].field, pane.field.pixelUm, pane.channel);
      return cameras.seenBy(map, factor, offset);
    }
    const offset = pane.field.originUm.map((um) => um / pane.field.pixelUm);
    return cameras.seenBy(map, this.field.pixelUm / pane.field.pixelUm, offset);
  }

  /** Draw what is shown. */
  draw() {
    const { width } = this.image;
    const divider = this.divider === null ? null : Math.round(this.divider * width);
    if (this.isColour) {
      this.display.drawColour(this.#shown.map((pane) => ({
        layer: pane.layer,
        map: this.#mapOf(pane),
        part: pane.channel.rgb.map((share) => share / pane.channel.white ** 2),
      })));
    } else this.#shown.forEach((pane, side) => {
      const isMain = pane === this.main;
      let view = this.view === "focus" ? "amplitude" : this.view;
      if (!isMain && (view === "depth" || !pane.field.hasPhase)) view = "amplitude";
      const range = view === "depth" ? this.#depthRange : this.#rangeOf(pane, view);
      this.display.draw(pane.layer, {
        map: this.#mapOf(pane),
        view,
        range,
        cyclic: view === "phase" && range[1] - range[0] > 2 * Math.PI - 1e-6,
        reference: this.#reference(pane),
        depth: view === "depth" ? pane.depth.texture : null,
        left: side === 0 ? 0 : divider,
        right: side === 0 && divider !== null ? divider : width,
      });
    });
    const onCanvas = (place) => place && cameras.canvasPoint(this.camera, this.image, place);
    drawOverlay(this.overlay, {
      ratio: this.ratio,
      umPerPx: this.field.pixelUm / this.camera.scale,
      divider,
      names: this.labels,
      point: onCanvas(this.point),
      line: this.line?.map(onCanvas),
    });
  }
}
