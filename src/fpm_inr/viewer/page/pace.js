// Keeps the graphics card busy but never flooded: one batch at a time, sized by how long the last
// ones took.

const FIRST_SAMPLES_PER_MS = 3000;

export class Pace {
  #gl;
  #fence = null;
  #samples = 0;
  #began = 0;

  constructor(gl) {
    this.#gl = gl;
    this.samplesPerMs = FIRST_SAMPLES_PER_MS;
    this.lastMs = 0;
  }

  /** Whether the last batch is still being drawn. */
  isBusy() {
    if (!this.#fence) return false;
    const gl = this.#gl;
    const status = gl.clientWaitSync(this.#fence, gl.SYNC_FLUSH_COMMANDS_BIT, 0);
    if (status === gl.TIMEOUT_EXPIRED) return true;
    gl.deleteSync(this.#fence);
    this.#fence = null;
    this.lastMs = Math.max(performance.now() - this.#began, 1);
    this.#learn(this.#samples, this.lastMs);
    return false;
  }

  /** Draw a batch. */
  run(samples, draw) {
    this.#samples = samples;
    this.#began = performance.now();
    draw();
    this.#fence = this.#gl.fenceSync(this.#gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    this.#gl.flush();
  }

  /** Samples that take about so many milliseconds. */
  samplesIn(ms) {
    return Math.max(4096, this.samplesPerMs * ms);
  }

  // Waiting for the next frame dwarfs a small batch: one that took hardly longer than a frame says
  // only that more would fit.
  #learn(samples, ms) {
    const seen = samples / ms;
    if (ms < 20) this.samplesPerMs = Math.max(this.samplesPerMs * 1.5, seen);
    else this.samplesPerMs = (this.samplesPerMs + seen) / 2;
  }
}
