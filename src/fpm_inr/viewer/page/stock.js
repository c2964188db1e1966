// What is held of a map: the pieces that are wanted, the most urgent fetched first, and few others.

export class Stock {
  #pieces = new Map(); // name -> piece, the longest unused first
  #wanted = []; // keys, the most urgent first
  #loading = new Map(); // name -> AbortController
  #failed = new Set();

  /**
   * @param {Object} how nameOf(key); load(key, signal) -> promise of a piece; drop(piece);
   *   most: pieces held at most; atOnce: fetched at the same time; onPiece(key); onTrouble(error)
   */
  constructor(how) {
    this.how = how;
  }

  get size() {
    return this.#pieces.size;
  }

  /** Whether all that is wanted is here, or could not be had. */
  get isIdle() {
    return this.#loading.size === 0;
  }

  get(key) {
    return this.#pieces.get(this.how.nameOf(key)) ?? null;
  }

  /** Fetch these, in this order, and no others; what is beyond `most` of them is left out. */
  want(keys) {
    this.#wanted = keys.slice(0, this.how.most);
    const names = new Set(this.#wanted.map(this.how.nameOf));
    for (const [name, control] of this.#loading) {
      if (names.has(name)) continue;
      control.abort();
      this.#loading.delete(name);
    }
    // the least urgent first, so that the most urgent is the last to be dropped
    for (const key of [...this.#wanted].reverse()) {
      const name = this.how.nameOf(key);
      const piece = this.#pieces.get(name);
      if (!piece) continue;
      this.#pieces.delete(name);
      this.#pieces.set(name, piece);
    }
    this.#trim();
    this.#failed.clear();
    this.#next();
  }

  #next() {
    for (const key of this.#wanted) {
      if (this.#loading.size >= this.how.atOnce) return;
      const name = this.how.nameOf(key);
      const isDone = this.#pieces.has(name) || this.#loading.has(name) || this.#failed.has(name);
      if (!isDone) this.#load(key, name);
    }
  }

  async #load(key, name) {
    const control = new AbortController();
    this.#loading.set(name, control);
    try {
      const piece = await this.how.load(key, control.signal);
      if (control.signal.aborted) {
        this.how.drop(piece);
        return;
      }
      this.#loading.delete(name);
      this.#pieces.set(name, piece);
      this.#trim();
    } catch (error) {
      if (control.signal.aborted) return;
      this.#loading.delete(name);
      this.#failed.add(name);
      this.how.onTrouble(error);
    }
    this.#next();
    this.how.onPiece(key);
  }

  #trim() {
    for (const [name, piece] of this.#pieces) {
      if (this.#pieces.size <= this.how.most) return;
      this.#pieces.delete(name);
      this.how.drop(piece);
    }
  }
}
