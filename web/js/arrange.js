/**
 * Where people stand in a composed picture: the geometry of the server's sfu/compose/arrange.py for previews, with everybody
 * seated anew each time. Pure; a test compares both.
 */

export const SIZES = { low: [854, 480], med: [1280, 720], high: [1920, 1080] };

const MOST = 25;
const MAX_SHARES = 4;
const LANDSCAPE_ASPECTS = [4 / 3, 1.85];
const PORTRAIT_ASPECTS = [3 / 4, 1.85];
const GAP = 1 / 90; // of the canvas's shorter side
const STRIPS = [[4, 0.2], [10, 0.25], [MOST, 0.34]]; // up to so many beside one large: such a part of the longer side

/** @typedef {{x: number, y: number, width: number, height: number}} Rect */
/** @typedef {Rect & {kind: "camera"|"share"|"text"|"image"|"empty", id?: string, text?: string, color?: string}} Cell */
/**
 * Everybody who could be in the picture, in the order of joining; the latest share first.
 * @typedef {{people: string[], cameras?: string[], shares?: string[], speakers?: string[], pinned?: string[], pinnedShares?: string[]}} Cast
 */

const even = (value) => Math.floor(value / 2) * 2;

function canvas(width, height) {
  const gap = Math.max(even(Math.min(width, height) * GAP), 2);
  return { width, height, gap, inside: { x: gap, y: gap, width: width - 2 * gap, height: height - 2 * gap } };
}

/** @param {number} count @param {Rect} area @returns {Rect[]} equal tiles as large as can be, each row centred */
function tiling(count, area, gap, aspects) {
  let best = { width: 0, height: 0, columns: 1 };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const [roomX, roomY] = [(area.width - gap * (columns - 1)) / columns, (area.height - gap * (rows - 1)) / rows];
    const [width, height] = [even(Math.min(roomX, roomY * aspects[1])), even(Math.min(roomY, roomX / aspects[0]))];
    if (width >= 2 && height >= 2 && width * height > best.width * best.height) best = { width, height, columns };
  }
  const { width, height, columns } = best;
  if (!width) return [];
  const rows = Math.ceil(count / columns);
  const top = area.y + even((area.height - rows * height - (rows - 1) * gap) / 2);
  return Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / columns);
    const inside = Math.min(columns, count - row * columns);
    const left = area.x + even((area.width - inside * width - (inside - 1) * gap) / 2);
    return { x: left + (index % columns) * (width + gap), y: top + row * (height + gap), width, height };
  });
}

function split(count, { width, height, gap, inside }) {
  if (!count) return { room: inside, tiles: [] };
  const part = /** @type {number[]} */ (STRIPS.find(([most]) => count <= most) ?? STRIPS[2])[1];
  if (width >= height) {
    const wide = even(width * part);
    const right = inside.x + inside.width;
    const tiles = tiling(count, { ...inside, x: right - wide, width: wide }, gap, LANDSCAPE_ASPECTS);
    const [from, to] = [Math.min(...tiles.map(({ x }) => x)), Math.max(...tiles.map((tile) => tile.x + tile.width))];
    return { room: { ...inside, width: inside.width - (to - from) - gap }, tiles: tiles.map((tile) => ({ ...tile, x: tile.x + right - to })) };
  }
  const high = even(height * part);
  const bottom = inside.y + inside.height;
  const tiles = tiling(count, { ...inside, y: bottom - high, height: high }, gap, PORTRAIT_ASPECTS);
  const [from, to] = [Math.min(...tiles.map(({ y }) => y)), Math.max(...tiles.map((tile) => tile.y + tile.height))];
  return { room: { ...inside, height: inside.height - (to - from) - gap }, tiles: tiles.map((tile) => ({ ...tile, y: tile.y + bottom - to })) };
}

/** People most worth showing first. */
function ranked(cast, priority, leaveOut = []) {
  const place = (list, id) => (list?.includes(id) ? list.indexOf(id) : Infinity);
  const rank = (id) => [priority === "PIN" ? place(cast.pinned, id) : 0, place(cast.speakers, id), cast.cameras?.includes(id) === false ? 1 : 0];
  const order = (a, b) => {
    const [first, second] = [rank(a), rank(b)];
    const differs = first.findIndex((value, index) => value !== second[index]);
    return differs < 0 ? 0 : first[differs] < second[differs] ? -1 : 1;
  };
  return cast.people.filter((id) => !leaveOut.includes(id)).sort(order);
}

const sharesOf = (cast, priority) => {
  const pinned = priority === "PIN" ? (cast.pinnedShares ?? []).filter((id) => cast.shares?.includes(id)) : [];
  return [...pinned, ...(cast.shares ?? []).filter((id) => !pinned.includes(id))];
};

const camera = (id, rect) => ({ ...rect, kind: "camera", id });

/**
 * @param {any} layout `{type, priority, gridSize}` or `{boxes}`, a right one
 * @param {Cast} cast
 * @param {number} width
 * @param {number} height
 * @returns {Cell[]} from the lowest to the highest
 */
export function arrange(layout, cast, width, height) {
  if (layout.boxes) return boxes(layout, cast, width, height);
  const { type = "GRID", priority = "SPEAKER" } = layout;
  const most = layout.gridSize || MOST;
  const scene = canvas(width, height);
  const aspects = width >= height ? LANDSCAPE_ASPECTS : PORTRAIT_ASPECTS;
  const pinned = priority === "PIN" ? (cast.pinned ?? []).filter((id) => cast.people.includes(id)).slice(0, most) : [];
  const spotlit = pinned.length ? pinned : ranked(cast, priority).slice(0, 1);
  // Who speaks first is among those shown; where they all fit, everybody keeps the place.
  const rest = new Set(ranked(cast, priority, pinned).slice(0, most - pinned.length));
  const people = [...pinned, ...ranked(cast, priority, pinned).filter((id) => rest.has(id))];
  const shares = sharesOf(cast, priority).slice(0, MAX_SHARES);
  const grid = (ids) => {
    const fits = width / height >= aspects[0] && width / height <= aspects[1];
    if (ids.length === 1 && fits) return [camera(ids[0], { x: 0, y: 0, width, height })];
    return tiling(ids.length, scene.inside, scene.gap, aspects).map((rect, index) => camera(ids[index], rect));
  };
  if (shares.length) {
    const beside = type === "SPOTLIGHT" ? spotlit : people;
    const { room, tiles } = split(beside.length, scene);
    const places = shares.length === 1 ? [room] : tiling(shares.length, room, scene.gap, [1, 2]);
    const large = places.map((rect, index) => /** @type {Cell} */ ({ ...rect, kind: "share", id: shares[index] }));
    return [...large, ...tiles.map((rect, index) => camera(beside[index], rect))];
  }
  if (type === "SPOTLIGHT") return grid(spotlit);
  if (type === "SIDEBAR" && people.length > 1) {
    const main = ranked(cast, priority)[0];
    const side = ranked(cast, priority, [main]).slice(0, most - 1);
    const { room, tiles } = split(side.length, scene);
    const [place] = tiling(1, room, scene.gap, aspects);
    return [camera(main, place), ...tiles.map((rect, index) => camera(side[index], rect))];
  }
  return grid(people);
}

function boxes({ boxes: list, priority = "SPEAKER" }, cast, width, height) {
  const filled = new Map();
  const taken = (kind) => [...filled.values()].filter((item) => item.kind === kind).map(({ id }) => id);
  const fill = (name, ids, kind) =>
    list.forEach(({ show }, index) => {
      if (show?.[name] !== undefined && ids[show[name]] !== undefined) filled.set(index, { kind, id: ids[show[name]] });
    });
  list.forEach(({ show }, index) => {
    const kind = show?.source === "screen" ? "share" : "camera";
    const there = kind === "share" ? cast.shares : cast.people;
    if (show?.participantId && there?.includes(show.participantId)) filled.set(index, { kind, id: show.participantId });
  });
  fill("share", sharesOf(cast, priority).filter((id) => !taken("share").includes(id)), "share");
  fill("pinned", (cast.pinned ?? []).filter((id) => cast.people.includes(id) && !taken("camera").includes(id)), "camera");
  fill("speaker", ranked(cast, "SPEAKER", taken("camera")), "camera");
  fill("person", ranked(cast, priority, taken("camera")), "camera");
  const cells = list.map((box, index) => {
    const rect = { x: box.x * width, y: box.y * height, width: box.width * width, height: box.height * height };
    if (box.text) return { ...rect, kind: "text", text: box.text.text, color: box.text.color, z: box.z ?? 0 };
    if (box.image) return { ...rect, kind: "image", text: box.image.name, z: box.z ?? 0 };
    const item = filled.get(index) ?? (box.keepEmpty ? { kind: "empty" } : null);
    return item && { ...rect, ...item, z: box.z ?? 0 };
  });
  return cells.filter(Boolean).sort((a, b) => a.z - b.z);
}
