import assert from "node:assert/strict";
import { test } from "node:test";

import { byHour } from "../../web/js/hours.js";
import { axisMarks, readTimeline, total } from "../../web/js/timeline.js";

const track = (at, type, participantId, source, muted) => ({ at, type, participantId, source, muted });

test("a timeline becomes lanes: who was there, could be heard, spoke, shared", () => {
  const { lanes, layouts, length } = readTimeline({
    events: [
      { at: 0, type: "participant-joined", participantId: "a", name: "Ada" },
      track(0, "track-published", "a", "mic", false),
      track(0, "track-published", "a", "webcam", true),
      { at: 0, type: "layout-changed", layout: { type: "GRID" } },
      { at: 2, type: "participant-joined", participantId: "b", name: "Bob" },
      { at: 3, type: "speaker-changed", participantId: "a" },
      track(4, "track-muted", "a", "mic", true),
      { at: 5, type: "speaker-changed", participantId: "b" },
      track(6, "track-muted", "a", "mic", false),
      track(6, "track-published", "b", "screen", false),
      { at: 7, type: "layout-changed", layout: { boxes: [] } },
      { at: 8, type: "participant-left", participantId: "b" },
      { at: 8, type: "speaker-changed", participantId: null },
      { at: 9, type: "participant-updated", participantId: "a", name: "Ada L." },
    ],
  }, 10);
  const [ada, bob] = lanes;
  assert.equal(length, 10);
  assert.deepEqual([ada.name, ada.there, ada.mic, ada.webcam, ada.spoke], ["Ada L.", [[0, 10]], [[0, 4], [6, 10]], [], [[3, 5]]]);
  assert.deepEqual([bob.name, bob.there, bob.screen, bob.spoke], ["Bob", [[2, 8]], [[6, 8]], [[5, 8]]]);
  assert.equal(total(ada.mic), 8);
  assert.deepEqual(layouts, [{ at: 0, name: "GRID" }, { at: 7, name: "CUSTOM" }]);
});

test("who comes back has two spans, and a timeline longer than its file is drawn whole", () => {
  const join = (at) => ({ at, type: "participant-joined", participantId: "a b", name: "A" });
  const { lanes, length } = readTimeline({ events: [join(0), { at: 1, type: "participant-left", participantId: "a b" }, join(4), join(6)] }, 2);
  assert.deepEqual([lanes.length, lanes[0].there, length], [1, [[0, 1], [4, 6]], 6]);
  assert.deepEqual(readTimeline({ events: [] }).lanes, []);
});

test("the axis has a handful of round marks, however long it is", () => {
  assert.deepEqual(axisMarks(5), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(axisMarks(65), [0, 10, 20, 30, 40, 50, 60]);
  for (const length of [0.5, 59, 3600, 86400]) assert.ok(axisMarks(length).length <= 9 && axisMarks(length)[0] === 0);
});

test("deliveries are counted by hour and result; older ones are left out", () => {
  const now = Date.parse("2026-01-01T12:30:00Z");
  const at = (createdAt, state) => ({ createdAt, state });
  const rows = [at("2026-01-01T12:00:00Z", "delivered"), at("2026-01-01T12:29:59Z", "delivered"), at("2026-01-01T11:59:59Z", "dead"), at("2026-01-01T09:59:59Z", "dead")];
  const hours = byHour(rows, now, 3);
  assert.deepEqual(hours.map(({ parts }) => parts), [{}, { dead: 1 }, { delivered: 2 }]);
  assert.equal(new Date(hours[2].at).toISOString(), "2026-01-01T12:00:00.000Z");
});
