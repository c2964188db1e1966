// Keeps the graphics card busy but never flooded: one batch at a time, sized by how fast the card is.

const QUICK_MS = 25; // about one frame: the card has time to spare
const SLOW_MS = 500;

export class Pace {
  #gl;
  #fence = null;
  #began = 0;

  constructor(gl) {
    this.#gl = gl;
    this.samplesPerMs = 500;
    this.least = 100;
  }

  /** Whether the last batch is still being drawn. */
  isBusy() {
    if (!this.#fence) return false;
    const gl = this.#gl;
    const status = gl.clientWaitSync(this.#fence, gl.SYNC_FLUSH_COMMANDS_BIT, 0);
    if (status === gl.TIMEOUT_EXPIRED) return true;
    gl.deleteSync(this.#fence);
    this.#fence = null;
    this.#adapt(performance.now() - this.#began);
    return false;
  }

  /** Learn from samples that were waited for, with nothing else to do. */
  calibrate(samples, ms) {
    this.samplesPerMs = samples / Math.max(ms, 0.5);
    this.least = this.samplesPerMs / 4;
  }

  /** Draw a batch. */
  run(draw) {
    this.#began = performance.now();
    draw();
    this.#fence = this.#gl.fenceSync(this.#gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    this.#gl.flush();
  }

  /** Samples that take about so many milliseconds. */
  samplesIn(ms) {
    return Math.max(4096, this.samplesPerMs * ms);
  }

  // A batch's time holds the drawing of the page as well, so it tells extremes only.
  #adapt(ms) {
    if (ms < QUICK_MS) this.samplesPerMs *= 1.3;
    if (ms > SLOW_MS) this.samplesPerMs = Math.max(this.samplesPerMs * 0.7, this.least);
  }
}
