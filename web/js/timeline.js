/** A recording's timeline.json as lanes: who was there, could be heard, was seen, spoke, in seconds of the recording. Pure. */

/** @typedef {[number, number]} Span from, until */
/** @typedef {{id: string, name: string, there: Span[], mic: Span[], webcam: Span[], screen: Span[], spoke: Span[]}} Lane */

const SOURCES = { mic: "mic", webcam: "webcam", screen: "screen" };

/** @param {Span[]} spans @returns {number} seconds */
export const total = (spans) => spans.reduce((sum, [from, until]) => sum + until - from, 0);

/**
 * @param {any} timeline the document
 * @param {number} [length] seconds of the file; the last event where that is unknown or earlier
 * @returns {{lanes: Lane[], layouts: {at: number, name: string}[], length: number}} people in the order they came
 */
export function readTimeline(timeline, length = 0) {
  const end = Math.max(length, ...timeline.events.map(({ at }) => at), 0.001);
  /** @type {Map<string, Lane>} */
  const lanes = new Map();
  /** What runs, since when. @type {Map<string, number>} */
  const open = new Map();
  const laneOf = (id) => {
    if (!lanes.has(id)) lanes.set(id, { id, name: id, there: [], mic: [], webcam: [], screen: [], spoke: [] });
    return /** @type {Lane} */ (lanes.get(id));
  };
  const set = (id, what, on, at) => {
    const key = `${what} ${id}`;
    const since = open.get(key);
    if (on === (since !== undefined)) return;
    if (on) open.set(key, at);
    else {
      open.delete(key);
      if (at > since) laneOf(id)[what].push([since, at]);
    }
  };
  const layouts = [];
  let speaker = null;
  for (const { at, type, participantId: id, ...facts } of timeline.events) {
    if (type === "layout-changed") layouts.push({ at, name: facts.layout.boxes ? "CUSTOM" : (facts.layout.type ?? "GRID") });
    else if (type === "speaker-changed") {
      if (speaker) set(speaker, "spoke", false, at);
      if (id) set(id, "spoke", true, at);
      speaker = id;
    } else if (id) {
      const lane = laneOf(id);
      if (facts.name) lane.name = facts.name;
      if (type === "participant-joined") set(id, "there", true, at);
      if (type === "participant-left") for (const what of ["there", "mic", "webcam", "screen", "spoke"]) set(id, what, false, at);
      const what = SOURCES[facts.source];
      if (what) set(id, what, type !== "track-unpublished" && !facts.muted, at);
    }
  }
  for (const [key, since] of open) {
    const [what, ...id] = key.split(" ");
    if (end > since) laneOf(id.join(" "))[what].push([since, end]);
  }
  return { lanes: [...lanes.values()], layouts, length: end };
}

/** Where marks stand on an axis: at round times, at most so many. @param {number} length @param {number} [most] */
export function axisMarks(length, most = 8) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
  const step = steps.find((each) => length / each <= most) ?? steps[steps.length - 1];
  return Array.from({ length: Math.floor(length / step) + 1 }, (_, index) => index * step);
}
