// One side of the view: a source with its layer, its own contrast and its phase reference.

import { FieldError } from "./container.js";
import { between } from "./focus.js";
import { Layer, TILE } from "./layer.js";
import { gridOf } from "./grid.js";
import {
  amplitudesOf, greyRange, meanPhase, phaseLimit, phasesOf, sortedPercentiles, wrapped,
} from "./statistics.js";

const HEIGHTS = 17; // that contrast and phase reference are taken from
const SAMPLES = 64; // a side
const TIMED_TILES = 2;

export class Pane {
  /** @param {?Object} channel how a wavelength lies against the first pane's, and its colour */
  constructor(gl, source, probe, pace, name, channel = null) {
    this.source = source;
    this.field = source.field;
    this.name = name;
    this.channel = channel;
    this.higher = channel?.z ?? 0; // its heights are those of the first pane and this
    this.layer = new Layer(gl, source, pace);
    this.depth = null; // of scanDepth
    this.#survey(probe, pace);
  }

  /** The nearest height that this pane has to one of the first pane's. */
  heightFor(z) {
    return Math.min(Math.max(z + this.higher, this.field.zRange[0]), this.field.zRange[1]);
  }

  /** Its range in heights of the first pane. */
  get zRange() {
    return this.field.zRange.map((z) => z - this.higher);
  }

  /** Amplitudes (of fields scaled to 1) shown as black and white. */
  amplitudeRange(percent) {
    return greyRange(...sortedPercentiles(this.amplitudes, [percent, 100 - percent]));
  }

  /** Phase of the mean field, which is shown as zero. */
  referenceAt(z) {
    const { low, high, share } = between(this.heights, z);
    return this.references[low] + share * (this.references[high] - this.references[low]);
  }

  #survey(probe, pace) {
    const { field } = this;
    const [low, high] = field.zRange;
    const spread = Array.from({ length: HEIGHTS }, (_, n) => low + ((high - low) * n) / (HEIGHTS - 1));
    this.heights = field.kind === "planes" ? [...field.planesUm] : low < high ? spread : [low];
    const step = Math.max(1, Math.ceil(Math.max(field.width, field.height) / SAMPLES));
    const grid = {
      ...gridOf(0, 0, field.width, field.height, step),
      origin: [0.5 - step / 2, 0.5 - step / 2],
    };
    const slices = probe.readMany(this.source, this.heights.map((z) => ({ z })), grid);
    this.#calibrate(probe, pace);
    this.amplitudes = Float32Array.from(slices.flatMap((p) => [...amplitudesOf(p)])).sort();
    if (!this.amplitudes.every(Number.isFinite)) {
      throw new FieldError("The field file is damaged: what it decodes to is not finite.");
    }
    this.references = [];
    for (const pairs of slices) {
      const before = this.references.at(-1) ?? 0;
      this.references.push(before + wrapped(meanPhase(pairs) - before));
    }
    this.phaseLimit = phaseLimit(
      Float32Array.from(slices.flatMap((pairs, n) => [...phasesOf(pairs, this.references[n])])));
  }

  /** Time what full resolution takes. */
  #calibrate(probe, pace) {
    const { width, height } = this.field;
    const grid = gridOf(0, 0, Math.min(width, TILE), Math.min(height, TILE));
    probe.read(this.source, { z: this.heights[0] }, grid); // makes what it needs: not to be timed
    const began = performance.now();
    probe.readMany(this.source, Array(TIMED_TILES).fill({ z: this.heights[0] }), grid);
    pace.calibrate(TIMED_TILES * grid.width * grid.height, performance.now() - began);
  }
}
