// The pieces of a map that are held: tiles and blocks of depth, those in sight first.

import { blocksIn, mostInSight, nameOf, tilesIn } from "./atlas.js";
import { FieldError } from "./container.js";
import { readBytes } from "./payload.js";
import { Stock } from "./stock.js";
import { readDepth, readTile, uploadDepth, uploadTile } from "./tile.js";

const AT_ONCE = 4; // a browser fetches six at a time from one server
const DEPTHS_AT_ONCE = 2;
const MOST_DEPTHS = 4096; // blocks of depth, which are small
const SPARE_BYTES = 256 * 2 ** 20; // of tiles that are out of sight, at most as many as are in sight

export class Pieces {
  /** @param {{onTile: Function, onDepth: Function, onTrouble: Function}} on as of Stock */
  constructor(gl, atlas, on) {
    this.gl = gl;
    this.atlas = atlas;
    const drop = (piece) => gl.deleteTexture(piece.texture);
    this.tiles = new Stock({
      ...on,
      onPiece: on.onTile,
      drop,
      nameOf,
      load: (key, signal) => this.#loadTile(key, signal),
      most: 1, // until it is known how many are in sight
      atOnce: AT_ONCE,
    });
    this.depths = new Stock({
      ...on,
      onPiece: on.onDepth,
      drop,
      nameOf: ({ row, column }) => `${row}-${column}`,
      load: (block, signal) => this.#loadDepth(block, signal),
      most: MOST_DEPTHS,
      atOnce: DEPTHS_AT_ONCE,
    });
    const [height, width] = atlas.levels[0];
    this.coarsest = tilesIn(atlas, atlas.levels.length - 1, [0, 0, width, height]);
  }

  get isIdle() {
    return this.tiles.isIdle && this.depths.isIdle;
  }

  /** The coarsest tiles that are here. */
  get whole() {
    return this.coarsest.map((key) => this.tiles.get(key)).filter(Boolean);
  }

  /**
   * Ask for what is in sight: the coarsest level first, what lies around it last.
   * @param {Object} sight area and level that are seen; canvas; before, tiles that are more urgent;
   *   needsDepth
   */
  want({ area, level, canvas, before, needsDepth }) {
    const { atlas } = this;
    const inSight = mostInSight(atlas, canvas.width, canvas.height);
    this.tiles.how.most = this.coarsest.length + inSight +
      Math.min(inSight, Math.floor(SPARE_BYTES / bytesOf(atlas)));
    const keys = [
      ...this.coarsest, ...before, ...tilesIn(atlas, level, area), ...tilesIn(atlas, level, area, 1),
    ];
    const names = new Set();
    this.tiles.want(keys.filter((key) => !names.has(nameOf(key)) && names.add(nameOf(key))));
    this.depths.want(needsDepth ? blocksIn(atlas, area) : []);
  }

  /** Blocks of depth in an area that are here, and how many there are in it. */
  depthIn(area) {
    const blocks = blocksIn(this.atlas, area);
    return { here: blocks.map((block) => this.depths.get(block)).filter(Boolean), of: blocks.length };
  }

  /** Sharpest height of the cell around a pixel, 0 to 1 over the range; null where it is not here. */
  depthAt(x, y) {
    const { blockPx, cellPx } = this.atlas.depth ?? {};
    const block = blockPx &&
      this.depths.get({ row: Math.floor(y / blockPx), column: Math.floor(x / blockPx) });
    if (!block) return null;
    const [row, column] = [y, x].map((value) => 1 + Math.floor((value % blockPx) / cellPx));
    return block.shares[row * block.width + column];
  }

  async #loadTile(key, signal) {
    const tile = await readTile(
      await readBytes(addressOf(this.atlas.tiles, key), signal), this.atlas.packing);
    const { width, height, planes, mean } = tile;
    if (planes !== this.atlas.planes) throw new FieldError("A tile is of another map.");
    return { texture: uploadTile(this.gl, tile), mean, area: width * height };
  }

  async #loadDepth(block, signal) {
    const address = addressOf(this.atlas.depth.address, block);
    const depth = await readDepth(await readBytes(address, signal));
    return { ...depth, texture: uploadDepth(this.gl, depth) };
  }
}

/** What a tile takes on the graphics card. */
function bytesOf({ planes, tilePx, apronPx }) {
  return planes * (tilePx + 2 * apronPx) ** 2 * 4;
}

/** An address with a piece's numbers in it. */
function addressOf(pattern, numbers) {
  return pattern.replace(/\{(\w+)\}/g, (_, name) => numbers[name]);
}
