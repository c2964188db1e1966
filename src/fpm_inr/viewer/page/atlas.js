// Where the tiles of a map lie: pure functions. `atlas` is what the server tells of the field:
// levels ([height, width] each, level 0 the finest), tilePx, apronPx.

const FINEST_STEP = 0.8; // canvas pixels that a pixel of the level shown spans, at least

/** The level that suits a scale of canvas pixels a pixel of the field. */
export function levelFor(atlas, scale) {
  const level = Math.ceil(Math.log2(FINEST_STEP / scale));
  return Math.min(Math.max(level, 0), atlas.levels.length - 1);
}

/** Rows and columns of tiles of a level. */
export function countOf(atlas, level) {
  return atlas.levels[level].map((side) => Math.ceil(side / atlas.tilePx));
}

export function nameOf({ level, row, column }) {
  return `${level}/${row}-${column}`;
}

/** Pixels of the field, [x0, y0, x1, y1], that a tile stands for. */
export function boxOf(atlas, { level, row, column }) {
  const side = atlas.tilePx * 2 ** level;
  const [rows, columns] = countOf(atlas, level);
  const [height, width] = atlas.levels[0];
  // the last ones go on to the field's end, where a coarse level may have half a pixel less
  return [
    column * side, row * side,
    column === columns - 1 ? width : (column + 1) * side,
    row === rows - 1 ? height : (row + 1) * side,
  ];
}

/** Tiles of a level that an area [x0, y0, x1, y1] of the field touches, nearest to its middle first. */
export function tilesIn(atlas, level, [x0, y0, x1, y1], ring = 0) {
  const side = atlas.tilePx * 2 ** level;
  const [rows, columns] = countOf(atlas, level);
  const [height, width] = atlas.levels[0];
  if (x1 <= 0 || y1 <= 0 || x0 >= width || y0 >= height) return [];
  const span = (low, high, count) => [
    Math.min(Math.max(Math.floor(low / side) - ring, 0), count - 1),
    Math.min(Math.max(Math.ceil(high / side) - 1 + ring, 0), count - 1),
  ];
  const [top, bottom] = span(y0, y1, rows);
  const [left, right] = span(x0, x1, columns);
  const found = [];
  for (let row = top; row <= bottom; row++) {
    for (let column = left; column <= right; column++) found.push({ level, row, column });
  }
  const [x, y] = [(x0 + x1) / 2 / side - 0.5, (y0 + y1) / 2 / side - 0.5];
  const away = (tile) => Math.hypot(tile.column - x, tile.row - y);
  return found.sort((a, b) => away(a) - away(b));
}

/** The tile of the next coarser level that holds a tile's middle; null above the coarsest. */
export function above(atlas, { level, row, column }) {
  if (level + 1 >= atlas.levels.length) return null;
  const [rows, columns] = countOf(atlas, level + 1);
  return {
    level: level + 1,
    row: Math.min(row >> 1, rows - 1),
    column: Math.min(column >> 1, columns - 1),
  };
}

/** Where a box of the field lies in a tile's texture: [u0, v0, u1, v1], 0 to 1 over it. */
export function placeIn(atlas, { level, row, column }, [x0, y0, x1, y1]) {
  const { tilePx, apronPx } = atlas;
  const [height, width] = atlas.levels[level];
  const size = [width - column * tilePx, height - row * tilePx].map(
    (left) => Math.min(left, tilePx) + 2 * apronPx);
  const at = (value, index, axis) =>
    (value / 2 ** level - index * tilePx + apronPx) / size[axis];
  return [at(x0, column, 0), at(y0, row, 1), at(x1, column, 0), at(y1, row, 1)];
}

/** Tiles that a canvas shows at most, at one level. */
export function mostInSight(atlas, width, height) {
  const along = (side) => Math.ceil(side / (FINEST_STEP * atlas.tilePx)) + 1;
  return along(width) * along(height);
}

/** Blocks of depth that an area of the field touches, nearest to its middle first. */
export function blocksIn(atlas, [x0, y0, x1, y1]) {
  const side = atlas.depth.blockPx;
  const [height, width] = atlas.levels[0];
  const found = [];
  for (let row = Math.max(Math.floor(y0 / side), 0); row * side < Math.min(y1, height); row++) {
    for (let column = Math.max(Math.floor(x0 / side), 0); column * side < Math.min(x1, width);
      column++) found.push({ row, column });
  }
  const [x, y] = [(x0 + x1) / 2 / side - 0.5, (y0 + y1) / 2 / side - 0.5];
  const away = (block) => Math.hypot(block.column - x, block.row - y);
  return found.sort((a, b) => away(a) - away(b));
}

/** Pixels of the field, [x0, y0, x1, y1], of a block of depth. */
export function boxOfBlock(atlas, { row, column }) {
  const side = atlas.depth.blockPx;
  const [height, width] = atlas.levels[0];
  return [
    column * side, row * side,
    Math.min((column + 1) * side, width), Math.min((row + 1) * side, height),
  ];
}

/** Where a box of the field lies in a block's texture of cells, as `placeIn`. */
export function placeInBlock(atlas, block, [x0, y0, x1, y1], { width, height }) {
  const [left, top] = boxOfBlock(atlas, block);
  const at = (value, from, size) => ((value - from) / atlas.depth.cellPx + 1) / size;
  return [at(x0, left, width), at(y0, top, height), at(x1, left, width), at(y1, top, height)];
}

/** What two boxes share; null where that is nothing. */
export function shared([a0, b0, a1, b1], [c0, d0, c1, d1]) {
  const box = [Math.max(a0, c0), Math.max(b0, d0), Math.min(a1, c1), Math.min(b1, d1)];
  return box[0] < box[2] && box[1] < box[3] ? box : null;
}
