/**
 * Where tiles stand: pure geometry. Takes numbers, gives rectangles {x, y, width, height} in pixels; touches no page.
 */

const LANDSCAPE = { least: 4 / 3, most: 16 / 9 };
const PORTRAIT = { least: 3 / 4, most: 16 / 9 }; // a phone held upright: two people stand one above the other, filling it
const SMALLEST_TILE = 110; // pixels; below it a face says nothing, so the rest is counted and not shown
// Of the stage, for those beside or below the one shown large; three fit below it on a phone.
const FILM_SHARE = { beside: 0.22, below: 0.16 };

/** @typedef {{x: number, y: number, width: number, height: number}} Rect */

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

function tileIn(cellWidth, cellHeight, { least, most }) {
  const aspect = clamp(cellWidth / cellHeight, least, most);
  const width = Math.min(cellWidth, cellHeight * aspect);
  return { width, height: width / aspect };
}

/**
 * The number of columns with the largest tiles, and their size. All tiles are of one size.
 * @param {number} count at least 1
 * @param {number} width
 * @param {number} height
 * @param {number} gap
 */
export function bestGrid(count, width, height, gap) {
  const aspects = width >= height ? LANDSCAPE : PORTRAIT;
  let best = { columns: 1, rows: count, width: 0, height: 0 };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const cellWidth = (width - gap * (columns - 1)) / columns;
    const cellHeight = (height - gap * (rows - 1)) / rows;
    if (cellWidth <= 0 || cellHeight <= 0) continue;
    const tile = tileIn(cellWidth, cellHeight, aspects);
    if (tile.width * tile.height > best.width * best.height) best = { columns, rows, ...tile };
  }
  return best;
}

/**
 * Everybody of one size, in the middle; the last row is centred.
 * @param {number} count
 * @param {number} width
 * @param {number} height
 * @param {number} [gap]
 * @returns {{rects: Rect[], hidden: number}} `hidden` have no place and are only counted, by the last rectangle
 */
export function layoutGrid(count, width, height, gap = 12) {
  if (count <= 0 || width <= 0 || height <= 0) return { rects: [], hidden: 0 };
  let shown = count;
  let grid = bestGrid(shown, width, height, gap);
  while (shown > 1 && Math.min(grid.width, grid.height) < SMALLEST_TILE) grid = bestGrid(--shown, width, height, gap);
  const rects = [];
  const top = (height - grid.rows * grid.height - (grid.rows - 1) * gap) / 2;
  for (let index = 0; index < shown; index++) {
    const row = Math.floor(index / grid.columns);
    const inRow = row === grid.rows - 1 ? shown - row * grid.columns : grid.columns;
    const left = (width - inRow * grid.width - (inRow - 1) * gap) / 2;
    rects.push({
      x: left + (index % grid.columns) * (grid.width + gap),
      y: top + row * (grid.height + gap),
      width: grid.width,
      height: grid.height,
    });
  }
  return { rects, hidden: hiddenOf(count, shown) };
}

/**
 * One large, the others in a strip: beside it where the stage is wide, below it where it is high.
 * @param {number} others
 * @param {number} width
 * @param {number} height
 * @param {number} [gap]
 * @returns {{main: Rect, rects: Rect[], hidden: number}}
 */
export function layoutFocus(others, width, height, gap = 12) {
  const whole = { x: 0, y: 0, width: Math.max(width, 0), height: Math.max(height, 0) };
  if (others <= 0 || width <= 0 || height <= 0) return { main: whole, rects: [], hidden: 0 };
  const beside = width >= height;
  const [along, across] = beside ? [height, width] : [width, height];
  const thickness = clamp(across * (beside ? FILM_SHARE.beside : FILM_SHARE.below), Math.min(SMALLEST_TILE, across / 3), 280);
  const aspect = beside ? LANDSCAPE.most : 1;
  const length = beside ? thickness / aspect : thickness * aspect;
  const room = Math.max(1, Math.floor((along + gap) / (length + gap)));
  const shown = Math.min(others, room);
  const start = (along - shown * length - (shown - 1) * gap) / 2;
  const main = beside ? { ...whole, width: width - thickness - gap } : { ...whole, height: height - thickness - gap };
  const rects = Array.from({ length: shown }, (_, index) => {
    const position = start + index * (length + gap);
    return beside
      ? { x: width - thickness, y: position, width: thickness, height: length }
      : { x: position, y: height - thickness, width: length, height: thickness };
  });
  return { main, rects, hidden: hiddenOf(others, shown) };
}

// The last place counts the ones without a place, so it costs one more of them.
function hiddenOf(count, shown) {
  return count > shown ? count - shown + 1 : 0;
}
