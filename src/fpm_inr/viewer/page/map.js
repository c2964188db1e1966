// The viewer of a whole field as a map: what is shown, and which tiles that takes. It offers what
// App offers, so that the same controls change it.

import { levelFor, tilesIn } from "./atlas.js";
import * as cameras from "./camera.js";
import { makeTexture } from "./gl.js";
import { gridOf } from "./grid.js";
import { meanPhaseAt } from "./heights.js";
import { linkOf, placeOf } from "./link.js";
import { MapSource } from "./mapsource.js";
import { drawOverlay } from "./overlay.js";
import { Pieces } from "./pieces.js";
import { Probe } from "./probe.js";
import { profileAlong } from "./profile.js";
import { focusAt, scanHeights } from "./scan.js";
import { Stage } from "./stage.js";
import { greyRange, percentiles, sortedPercentiles, wrapped } from "./statistics.js";

const LINK_MS = 300; // browsers refuse addresses that change too often
const FOCUS_PX = 80; // half of what is looked at around a click

export class MapApp extends Stage {
  #scheduled = false;
  #linking = null;
  #drawn = null; // what was shown last, but for tiles
  #fresh = []; // tiles that have come since
  #isSeen = false;
  #finding = null; // where a click asked for the focus

  constructor(image, overlay, atlas, { shaders, tables }) {
    super(image, overlay);
    const { gl } = this;
    this.atlas = atlas;
    this.tables = tables;
    this.probe = new Probe(gl);
    this.pieces = new Pieces(gl, atlas, {
      onTile: (key) => this.#arrived(key),
      onDepth: () => this.#depthArrived(),
      onTrouble: (error) => {
        this.#finding = null;
        this.onTrouble?.(error);
      },
    });
    this.stock = this.pieces.tiles;
    this.source = new MapSource(gl, atlas, shaders, this.pieces, coloursOf(gl, tables));
    this.field = this.source.field;
    this.panes = atlas.channels.map(({ name }) => ({ name, field: this.field }));
    this.main = { name: atlas.name, field: this.field };
    this.isSet = atlas.channels.length > 1;
    this.isOn = atlas.channels.map(() => true); // of wavelengths
    [this.divider, this.line] = [null, null];
    this.zRange = atlas.zRange;
    this.z = (this.zRange[0] + this.zRange[1]) / 2;
    this.view = "amplitude";
    this.percent = 0.5;
    this.manual = { amplitude: null, phase: null };
    [this.point, this.focus] = [null, null];
    this.canFocus = scanHeights(this.field).length >= 3;
    this.canScan = Boolean(atlas.depth);
    this.onChange = () => {};
    this.resize();
    this.fit();
    this.goTo(location.hash);
    addEventListener("hashchange", () => this.goTo(location.hash));
  }

  /** Look where the text of a link says; where it says nothing, nothing changes. */
  goTo(text) {
    if (text.replace("#", "") === this.link) return;
    const place = placeOf(text, this);
    if (!place) return;
    const camera = { ...this.camera, centre: place.centre, scale: place.scale };
    // within the limits of zooming
    this.camera = cameras.zoomed(camera, this.image, this.field, 1, this.middle);
    this.setZ(place.z);
    this.setView(place.view);
    this.#want();
  }

  get isSettled() {
    return !this.#scheduled && this.pieces.isIdle && !this.#finding;
  }

  /** Whether every tile in sight is here. */
  get isSharp() {
    return this.source.missing(this.level, this.area).length === 0;
  }

  /** The level of the pyramid that is shown. */
  get level() {
    return levelFor(this.atlas, this.camera.scale);
  }

  setZ(z) {
    if (!Number.isFinite(z)) return;
    this.z = Math.min(Math.max(z, this.zRange[0]), this.zRange[1]);
    if (this.#needsDepth) {
      this.view = "amplitude";
      this.#want();
    }
    this.changed();
  }

  setView(view) {
    if (!["amplitude", "phase", "focus", "depth"].includes(view)) return;
    if (["focus", "depth"].includes(view) && !this.canScan) return;
    this.view = view;
    this.#want();
    this.changed();
  }

  setPercent(percent) {
    this.percent = Math.min(Math.max(percent, 0), 25);
    this.manual[this.#scale] = null;
    this.changed();
  }

  /** Show these values as the ends of the scale; null: by percentile. */
  setRange(range) {
    if (this.view === "depth" || (range && !(range[1] > range[0]))) return;
    this.manual[this.#scale] = range;
    this.changed();
  }

  /** Whether wavelengths are shown together, as a colour. */
  get isColour() {
    return this.isOn.filter(Boolean).length > 1 && (this.view === "amplitude" || this.view === "focus");
  }

  /** The wavelength whose numbers are told: the reference, or the first that is in. */
  get channel() {
    return this.atlas.channels[this.source.channel];
  }

  /** Take wavelengths in or out; one alone is shown in grey. */
  setChannels(isOn) {
    if (!this.isSet || !isOn.some(Boolean)) return;
    this.isOn = [...isOn];
    this.source.channel = isOn.indexOf(true);
    this.field.amplitudeScale = this.channel.amplitudeScale;
    this.focus = null;
    this.changed();
  }

  setDivider() {}

  /** Values along a line between two image positions; null takes it away. */
  setLine(line) {
    this.line = line;
    this.changed();
  }

  /** What the line shows; null without one. */
  get profile() {
    if (!this.line) return null;
    return profileAlong(this.line, this.field, {
      read: (grid) => this.probe.read(this.source, this.#height, grid),
      isPhase: this.view === "phase",
      reference: this.view === "phase" ? this.#reference : 0,
    });
  }

  /** Ends of the scale in shown units: sqrt(counts), rad or um. */
  get range() {
    const range = this.#range;
    if (this.view === "depth") return range.map((share) => this.#heightOfShare(share));
    return this.view === "phase" ? range : range.map((v) => v * this.field.amplitudeScale);
  }

  #heightOfShare(share) {
    const [low, high] = this.zRange;
    return low + share * (high - low);
  }

  get #scale() {
    return this.view === "phase" ? "phase" : "amplitude";
  }

  get #height() {
    return { z: this.z, atDepth: this.view === "focus" };
  }

  get #needsDepth() {
    return this.view === "focus" || this.view === "depth";
  }

  get #range() {
    if (this.view === "depth") return this.depthRange ?? [0, 1];
    const manual = this.manual[this.#scale];
    if (this.view === "phase") {
      const limit = limitOf(this.channel.phases);
      return manual ?? [-limit, limit];
    }
    if (manual) return manual.map((value) => value / this.field.amplitudeScale);
    const ends = [this.percent, 100 - this.percent];
    return greyRange(...sortedPercentiles(this.channel.amplitudes, ends));
  }

  /** Look through a camera of `camera.js`. */
  look(camera) {
    this.camera = camera;
    this.#want();
    this.changed();
  }

  /** Go to the sharpest height at an image position, as soon as its finest tiles are here. */
  focusOn(place) {
    if (!this.canFocus || !this.isInside(place)) return;
    this.point = place;
    this.#finding = place;
    this.#want();
    this.#find();
    this.changed();
  }

  /** What is under an image position, in shown units. */
  valueAt(place) {
    if (!this.isInside(place)) return null;
    const [x, y] = place.map(Math.floor);
    const share = this.pieces.depthAt(x, y);
    const { amplitude, phase } = this.probe.pixel(this.source, this.#height, x, y);
    return {
      x, y,
      amplitude: amplitude * this.field.amplitudeScale,
      phase: wrapped(phase - this.#reference),
      depth: share === null ? null : this.#heightOfShare(share),
    };
  }

  /** Amplitude and phase as stored of a rectangle of pixels at the height shown: [y, x, 2]. */
  read(x, y, width, height) {
    return this.probe.read(this.source, this.#height, gridOf(x, y, width, height));
  }

  /** Linear sRGB that every wavelength adds for an intensity of 1. */
  get #parts() {
    return this.atlas.channels.map(({ rgb, white }, n) =>
      rgb.map((share) => (this.isOn[n] ? share / white ** 2 : 0)));
  }

  #want() {
    this.area = cameras.visibleArea(cameras.toImage(this.camera, this.image), this.image);
    this.pieces.want({
      area: this.area,
      level: this.level,
      canvas: this.image,
      before: this.#finding ? this.#around(this.#finding) : [],
      needsDepth: this.#needsDepth,
    });
    this.#tellDepth();
  }

  #around([x, y]) {
    return tilesIn(
      this.atlas, 0, [x - FOCUS_PX, y - FOCUS_PX, x + FOCUS_PX, y + FOCUS_PX]);
  }

  #find() {
    const place = this.#finding;
    if (!place || this.#around(place).some((key) => !this.stock.get(key))) return;
    this.#finding = null;
    this.focus = focusAt(this.source, this.probe, ...place.map(Math.floor));
    this.setZ(this.focus.best);
  }

  #arrived(key) {
    this.#fresh.push(key);
    this.#find();
    this.#schedule();
  }

  #depthArrived() {
    this.#drawn = null;
    if (this.#needsDepth) this.#tellDepth();
    this.changed();
  }

  /** How much of the depth in sight is there, and between which heights it lies. */
  #tellDepth() {
    if (!this.#needsDepth) {
      this.onProgress?.(null);
      return;
    }
    const { here, of } = this.pieces.depthIn(this.area);
    this.onProgress?.(here.length < of ? here.length / of : null);
    if (here.length === 0) return;
    const thinned = here.flatMap(({ shares }) => [...shares.filter((_, n) => n % 7 === 0)]);
    this.depthRange = greyRange(...percentiles(thinned, [1, 99]));
  }

  get #reference() {
    return meanPhaseAt(this.channel, this.pieces.whole, this.z);
  }

  #tellLink() {
    clearTimeout(this.#linking);
    this.#linking = setTimeout(() => {
      this.link = linkOf(this);
      history.replaceState(null, "", `#${this.link}`);
    }, LINK_MS);
  }

  /** Tell that something else is to be shown. */
  changed() {
    this.onChange();
    this.#tellLink();
    this.#schedule();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      if (!this.gl.isContextLost()) this.#redraw();
      this.#mark();
    });
  }

  /** Draw all, or tiles that have come where nothing else is new. */
  #redraw() {
    const how = this.#how;
    const drawn = JSON.stringify([how, this.camera, this.image.width, this.image.height]);
    if (drawn === this.#drawn) {
      if (this.#fresh.length > 0) this.#paint(how, this.#fresh);
    } else this.#drawAll(how);
    this.#drawOverlay();
    this.#drawn = drawn;
    this.#fresh = [];
  }

  /** Note when something is seen for the first time, and when all that is in sight is. */
  #mark() {
    if (this.stock.size > 0 && !this.#isSeen) performance.mark("fpm-inr: seen");
    this.#isSeen ||= this.stock.size > 0;
    if (this.isSharp) performance.mark("fpm-inr: sharp");
  }

  /** Draw what is shown. */
  draw() {
    this.#drawAll(this.#how);
    this.#drawOverlay();
  }

  get #how() {
    const range = this.#range;
    return {
      z: this.z,
      atDepth: this.view === "focus",
      view: this.isColour ? "colour" : this.view === "focus" ? "amplitude" : this.view,
      parts: this.isColour ? this.#parts : null,
      channel: this.source.channel,
      range,
      cyclic: this.view === "phase" && range[1] - range[0] > 2 * Math.PI - 1e-6,
      reference: this.view === "phase" ? this.#reference : 0,
    };
  }

  #drawAll(how) {
    const { gl, image } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, image.width, image.height);
    gl.clearColor(0.055, 0.063, 0.075, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    this.#paint(how, null);
  }

  /** Draw tiles that lie where these do, or all. */
  #paint(how, only) {
    const { gl, camera, image } = this;
    const { width, height } = image;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, width, height);
    const clip = (place) => {
      const [x, y] = cameras.canvasPoint(camera, image, place);
      return [(2 * x) / width - 1, 1 - (2 * y) / height];
    };
    this.source.paint(this.level, this.area, clip, how, only);
  }

  #drawOverlay() {
    const onCanvas = (place) => cameras.canvasPoint(this.camera, this.image, place);
    drawOverlay(this.overlay, {
      ratio: this.ratio,
      umPerPx: this.field.pixelUm / this.camera.scale,
      divider: null,
      names: [],
      point: this.point && onCanvas(this.point),
      line: this.line && this.line.map(onCanvas),
    });
  }
}

/** Half-width of the scale of phases, of ascending ones. */
function limitOf(phases) {
  const [reach] = sortedPercentiles(phases, [99.5]);
  return reach > Math.PI / 2 ? Math.PI : Math.max(reach, 1e-3);
}

/** The tables of colours as a texture: row 0 cyclic, row 1 depth. */
function coloursOf(gl, tables) {
  const texture = makeTexture(gl, gl.TEXTURE_2D, gl.NEAREST);
  gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGB8, 256, 2);
  const rows = new Uint8Array([...tables.cyclic, ...tables.depth]);
  gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, 256, 2, gl.RGB, gl.UNSIGNED_BYTE, rows);
  return texture;
}
