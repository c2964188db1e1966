// The viewer of a whole field as a map: what is shown, and which tiles that takes. It offers what
// App offers, so that the same controls change it.

import { blocksIn, levelFor, mostInSight, nameOf, tilesIn } from "./atlas.js";
import * as cameras from "./camera.js";
import { startGl, makeTexture } from "./gl.js";
import { gridOf } from "./grid.js";
import { meanPhaseAt } from "./heights.js";
import { linkOf, placeOf } from "./link.js";
import { MapSource } from "./mapsource.js";
import { drawOverlay } from "./overlay.js";
import { readBytes } from "./payload.js";
import { Probe } from "./probe.js";
import { profileAlong } from "./profile.js";
import { focusAt, scanHeights } from "./scan.js";
import { greyRange, percentiles, sortedPercentiles, wrapped } from "./statistics.js";
import { Stock } from "./stock.js";
import { readDepth, readTile, uploadDepth, uploadTile } from "./tile.js";

const AT_ONCE = 4; // a browser fetches six at a time from one server
const DEPTHS_AT_ONCE = 2;
const LINK_MS = 300; // browsers refuse addresses that change too often
const MOST_DEPTHS = 4096; // blocks of depth, which are small
const FOCUS_PX = 80; // half of what is looked at around a click

export class MapApp {
  #scheduled = false;
  #linking = null;
  #isDirty = true;
  #isSeen = false;
  #finding = null; // {place, z}: where a click asked for the focus

  constructor(image, overlay, atlas, { shaders, tables }) {
    const gl = startGl(image);
    this.gl = gl;
    this.image = image;
    this.overlay = overlay.getContext("2d");
    this.atlas = atlas;
    this.tables = tables;
    this.probe = new Probe(gl);
    const pieces = {
      drop: (piece) => gl.deleteTexture(piece.texture),
      onPiece: () => this.#arrived(),
      onTrouble: (error) => this.onTrouble?.(error),
    };
    this.stock = new Stock({
      ...pieces,
      nameOf,
      load: (key, signal) => this.#load(key, signal),
      most: 1, // until it is known how many are in sight
      atOnce: AT_ONCE,
    });
    this.depths = new Stock({
      ...pieces,
      nameOf: ({ row, column }) => `${row}-${column}`,
      load: (block, signal) => this.#loadDepth(block, signal),
      most: MOST_DEPTHS,
      atOnce: DEPTHS_AT_ONCE,
    });
    this.source = new MapSource(
      gl, atlas, shaders, this.stock, this.depths, coloursOf(gl, tables));
    this.field = this.source.field;
    this.panes = [{ name: atlas.name, field: this.field }];
    this.main = this.panes[0];
    [this.isSet, this.isColour, this.isOn] = [false, false, [true]];
    [this.divider, this.line] = [null, null];
    this.zRange = atlas.zRange;
    this.z = (this.zRange[0] + this.zRange[1]) / 2;
    this.view = "amplitude";
    this.percent = 0.5;
    this.manual = { amplitude: null, phase: null };
    [this.point, this.focus] = [null, null];
    this.canFocus = scanHeights(this.field).length >= 3;
    this.canScan = Boolean(atlas.depth);
    const [reach] = sortedPercentiles(atlas.phases, [99.5]);
    this.phaseLimit = reach > Math.PI / 2 ? Math.PI : Math.max(reach, 1e-3);
    this.onChange = () => {};
    image.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.onLost?.();
    });
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
    this.camera = cameras.zoomed(camera, this.image, this.field, 1, this.#middle);
    this.setZ(place.z);
    this.setView(place.view);
    this.#want();
  }

  get #middle() {
    return [this.image.width / 2, this.image.height / 2];
  }

  get isSettled() {
    return !this.#scheduled && this.stock.isIdle && this.depths.isIdle && !this.#finding;
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
    if (this.#needsDepth) this.view = "amplitude";
    this.#changed();
  }

  setView(view) {
    if (!["amplitude", "phase", "focus", "depth"].includes(view)) return;
    if (["focus", "depth"].includes(view) && !this.canScan) return;
    this.view = view;
    this.#want();
    this.#changed();
  }

  setPercent(percent) {
    this.percent = Math.min(Math.max(percent, 0), 25);
    this.manual[this.#scale] = null;
    this.#changed();
  }

  /** Show these values as the ends of the scale; null: by percentile. */
  setRange(range) {
    if (this.view === "depth" || (range && !(range[1] > range[0]))) return;
    this.manual[this.#scale] = range;
    this.#changed();
  }

  setChannels() {}

  setDivider() {}

  /** Values along a line between two image positions; null takes it away. */
  setLine(line) {
    this.line = line;
    this.#changed();
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
    const [low, high] = this.zRange;
    if (this.view === "depth") return range.map((share) => low + share * (high - low));
    return this.view === "phase" ? range : range.map((v) => v * this.field.amplitudeScale);
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
    if (this.view === "phase") return manual ?? [-this.phaseLimit, this.phaseLimit];
    if (manual) return manual.map((value) => value / this.field.amplitudeScale);
    const ends = [this.percent, 100 - this.percent];
    return greyRange(...sortedPercentiles(this.atlas.amplitudes, ends));
  }

  fit() {
    const turns = this.camera?.turns ?? 0;
    this.look(cameras.fitted(this.field.width, this.field.height, this.image, turns));
  }

  rotate() {
    this.camera = { ...this.camera, turns: (this.camera.turns + 1) % 4 };
    this.fit();
  }

  zoom(factor, at = this.#middle) {
    this.look(cameras.zoomed(this.camera, this.image, this.field, factor, at));
  }

  pan(moved) {
    this.look(cameras.panned(this.camera, this.field, moved));
  }

  /** Look through a camera of `camera.js`. */
  look(camera) {
    this.camera = camera;
    this.#want();
    this.#changed();
  }

  /** Canvas pixels -> continuous image position; pixel (0, 0) has its centre at (0.5, 0.5). */
  placeAt(canvasPoint) {
    return cameras.imagePoint(this.camera, this.image, canvasPoint);
  }

  isInside([x, y]) {
    return x >= 0 && y >= 0 && x < this.field.width && y < this.field.height;
  }

  /** Go to the sharpest height at an image position, as soon as its finest tiles are here. */
  focusOn(place) {
    if (!this.canFocus || !this.isInside(place)) return;
    this.point = place;
    this.#finding = place;
    this.#want();
    this.#find();
    this.#changed();
  }

  /** What is under an image position, in shown units. */
  valueAt(place) {
    if (!this.isInside(place)) return null;
    const [x, y] = place.map(Math.floor);
    const { amplitude, phase } = this.probe.pixel(this.source, this.#height, x, y);
    return {
      x, y,
      amplitude: amplitude * this.field.amplitudeScale,
      phase: wrapped(phase - this.#reference),
      depth: this.#depthAt(x, y),
    };
  }

  /** Sharpest height of the cell around a pixel; null where it is not known yet. */
  #depthAt(x, y) {
    if (!this.canScan) return null;
    const { blockPx, cellPx } = this.atlas.depth;
    const block = this.depths.get({ row: Math.floor(y / blockPx), column: Math.floor(x / blockPx) });
    if (!block) return null;
    const [row, column] = [y, x].map((value) => 1 + Math.floor((value % blockPx) / cellPx));
    const [low, high] = this.zRange;
    return low + block.shares[row * block.width + column] * (high - low);
  }

  /** Amplitude and phase as stored of a rectangle of pixels at the height shown: [y, x, 2]. */
  read(x, y, width, height) {
    return this.probe.read(this.source, this.#height, gridOf(x, y, width, height));
  }

  resize() {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const { clientWidth, clientHeight } = this.image;
    const size = [clientWidth, clientHeight].map((n) => Math.max(1, Math.round(n * ratio)));
    if (this.image.width === size[0] && this.image.height === size[1]) return;
    this.ratio = ratio;
    for (const canvas of [this.image, this.overlay.canvas]) {
      [canvas.width, canvas.height] = size;
    }
    if (this.camera) this.look(this.camera);
  }

  /** A PNG of what is shown, scale bar and marks included. */
  async png() {
    this.#draw();
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [this.image.width, this.image.height];
    const context = copy.getContext("2d");
    context.drawImage(this.image, 0, 0);
    context.drawImage(this.overlay.canvas, 0, 0);
    return new Promise((resolve) => copy.toBlob(resolve, "image/png"));
  }

  async #load(key, signal) {
    const tile = await readTile(await readBytes(addressOf(this.atlas.tiles, key), signal));
    const { width, height, planes, mean } = tile;
    return { texture: uploadTile(this.gl, tile), mean, area: width * height, planes };
  }

  async #loadDepth(block, signal) {
    const address = addressOf(this.atlas.depth.address, block);
    const depth = await readDepth(await readBytes(address, signal));
    return { ...depth, texture: uploadDepth(this.gl, depth) };
  }

  /** Ask for what is in sight: the coarsest level first, what lies around it last. */
  #want() {
    const { atlas, image } = this;
    const map = cameras.toImage(this.camera, image);
    this.area = cameras.visibleArea(map, image);
    const coarsest = atlas.levels.length - 1;
    const all = tilesIn(atlas, coarsest, [0, 0, this.field.width, this.field.height]);
    this.stock.how.most = all.length + 2 * mostInSight(atlas, image.width, image.height);
    const keys = [
      ...all,
      ...(this.#finding ? this.#around(this.#finding) : []),
      ...tilesIn(atlas, this.level, this.area),
      ...tilesIn(atlas, this.level, this.area, 1),
    ];
    const names = new Set();
    this.stock.want(keys.filter((key) => !names.has(nameOf(key)) && names.add(nameOf(key))));
    this.depths.want(this.#needsDepth ? blocksIn(atlas, this.area) : []);
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

  #arrived() {
    this.#find();
    if (this.#needsDepth) this.#tellDepth();
    this.#changed();
  }

  /** How much of the depth in sight is there, and between which heights it lies. */
  #tellDepth() {
    if (!this.#needsDepth) {
      this.onProgress?.(null);
      return;
    }
    const blocks = blocksIn(this.atlas, this.area);
    const here = blocks.map((block) => this.depths.get(block)).filter(Boolean);
    this.onProgress?.(here.length < blocks.length ? here.length / blocks.length : null);
    if (here.length === 0) return;
    const thinned = here.flatMap(({ shares }) => [...shares.filter((_, n) => n % 7 === 0)]);
    this.depthRange = greyRange(...percentiles(thinned, [1, 99]));
  }

  get #reference() {
    const coarsest = this.atlas.levels.length - 1;
    const tiles = tilesIn(this.atlas, coarsest, [0, 0, this.field.width, this.field.height])
      .map((key) => this.stock.get(key)).filter(Boolean);
    return meanPhaseAt(this.atlas, tiles, this.z);
  }

  #tellLink() {
    clearTimeout(this.#linking);
    this.#linking = setTimeout(() => {
      this.link = linkOf(this);
      history.replaceState(null, "", `#${this.link}`);
    }, LINK_MS);
  }

  #changed() {
    this.#isDirty = true;
    this.onChange();
    this.#tellLink();
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      if (this.#isDirty && !this.gl.isContextLost()) this.#draw();
      this.#isDirty = false;
      this.#mark();
    });
  }

  /** Note when something is seen for the first time, and when all that is in sight is. */
  #mark() {
    if (this.stock.size > 0 && !this.#isSeen) performance.mark("fpm-inr: seen");
    this.#isSeen ||= this.stock.size > 0;
    if (this.isSharp) performance.mark("fpm-inr: sharp");
  }

  #draw() {
    const { gl, camera, image } = this;
    const { width, height } = image;
    const range = this.#range;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, width, height);
    gl.clearColor(0.055, 0.063, 0.075, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const onCanvas = (place) => cameras.canvasPoint(camera, image, place);
    const clip = (place) => {
      const [x, y] = onCanvas(place);
      return [(2 * x) / width - 1, 1 - (2 * y) / height];
    };
    this.source.paint(this.level, this.area, clip, {
      z: this.z,
      atDepth: this.view === "focus",
      view: this.view === "focus" ? "amplitude" : this.view,
      range,
      cyclic: this.view === "phase" && range[1] - range[0] > 2 * Math.PI - 1e-6,
      reference: this.#reference,
    });
    drawOverlay(this.overlay, {
      ratio: this.ratio,
      umPerPx: this.field.pixelUm / camera.scale,
      divider: null,
      names: [],
      point: this.point && onCanvas(this.point),
      line: this.line && this.line.map(onCanvas),
    });
  }
}

/** An address with a piece's numbers in it. */
function addressOf(pattern, numbers) {
  return pattern.replace(/\{(\w+)\}/g, (_, name) => numbers[name]);
}

/** The tables of colours as a texture: row 0 cyclic, row 1 depth. */
function coloursOf(gl, tables) {
  const texture = makeTexture(gl, gl.TEXTURE_2D, gl.NEAREST);
  gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGB8, 256, 2);
  const rows = new Uint8Array([...tables.cyclic, ...tables.depth]);
  gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, 256, 2, gl.RGB, gl.UNSIGNED_BYTE, rows);
  return texture;
}
