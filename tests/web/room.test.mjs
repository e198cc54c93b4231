import assert from "node:assert/strict";
import { test } from "node:test";

import { HANDLERS } from "../../web/sdk/events.js";
import { RemoteParticipant } from "../../web/sdk/participant.js";
import { Presenter } from "../../web/sdk/presenter.js";
import { Room } from "../../web/sdk/room.js";

function room(answer = {}) {
  const requests = [];
  const request = async (...args) => {
    requests.push(args);
    return answer;
  };
  const made = new Room(request);
  made.localParticipant = { id: "me", pinState: { cam: false, share: false } };
  made.activePresenterId = null;
  for (const participantId of ["ada", "bob"]) {
    made.participants.set(participantId, new RemoteParticipant({ participantId, tracks: [] }, request, true));
  }
  const presenter = new Presenter(made);
  const seen = [];
  for (const event of ["recording-state-changed", "livestream-state-changed", "pin-state-changed", "speaker-changed"]) {
    made.on(event, (value) => seen.push([event, value]));
  }
  made.on("main-participant-changed", ({ id }) => seen.push(["main", id]));
  const receive = (name, data) => HANDLERS[name].call({ meeting: made, presenter }, data);
  return { made, seen, requests, receive };
}

const RECORDINGS = [{ id: "r1", kind: "room", status: "recording", participantId: null }];
const STARTED = { status: "RECORDING_STARTED", recordings: RECORDINGS };

test("starting says only what is wanted, and waits longer than for an answer of the signalling alone", async () => {
  const { made, requests } = room({ id: "r1" });
  assert.deepEqual(await made.startRecording(null, "", { layout: { type: "GRID" } }), { id: "r1" });
  await made.stopRecording();
  await made.startLivestream([{ url: "rtmp://x/app", streamKey: "k" }], { theme: "LIGHT" });
  await made.stopLivestream("l1");
  await made.updateComposition({ id: "r1", config: { theme: "DARK" } });
  assert.deepEqual(requests.map(([method, params]) => [method, params]), [
    ["start-recording", { config: { layout: { type: "GRID" } } }],
    ["stop-recording", {}],
    ["start-livestream", { outputs: [{ url: "rtmp://x/app", streamKey: "k" }], config: { theme: "LIGHT" } }],
    ["stop-livestream", { id: "l1" }],
    ["update-composition", { id: "r1", config: { theme: "DARK" } }],
  ]);
  for (const [, , { timeout }] of requests) assert.ok(timeout > 10000);
});

test("what is not there is refused in words, before anything is asked", async () => {
  const { made, requests } = room();
  for (const refused of [made.startRecording(null, null, null, { enabled: true }), made.startLivestream([{}], {}, { enabled: true })]) {
    await assert.rejects(refused, { code: 3101, name: "NOT_SUPPORTED", message: /no transcription/ });
  }
  await assert.rejects(made.startLivestream([]), { code: 3102, message: /url, streamKey/ });
  assert.deepEqual(requests, []);
  await made.startRecording(null, null, null, { enabled: false });
  assert.equal(requests.length, 1);
});

test("states are told once for each change, and kept", () => {
  const { made, seen, receive } = room();
  receive("recording-state-changed", STARTED);
  receive("recording-state-changed", structuredClone(STARTED));
  assert.equal(made.recordingState, "RECORDING_STARTED");
  assert.deepEqual(made.recordings, RECORDINGS);
  const outputs = (error) => [{ id: "o", url: "rtmp://x/app", status: error ? "retrying" : "live", error }];
  for (const error of [null, "refused"]) {
    receive("livestream-state-changed", { status: "LIVESTREAM_STARTED", livestreams: [{ id: "l", status: "live", outputs: outputs(error) }] });
  }
  assert.equal(made.livestreams[0].outputs[0].error, "refused");
  receive("recording-state-changed", { status: "RECORDING_STOPPED", recordings: [] });
  assert.deepEqual(seen.map(([, { status }]) => status), ["RECORDING_STARTED", "LIVESTREAM_STARTED", "LIVESTREAM_STARTED", "RECORDING_STOPPED"]);
});

test("who comes late is told what runs; who comes back is told what has ended meanwhile", () => {
  const { made, seen } = room();
  const pins = [{ participantId: "ada", state: { cam: true, share: false }, pinnedBy: null }];
  const tell = made.takeRoom({ state: { recording: STARTED }, pins, activeSpeakerId: "bob" });
  assert.deepEqual([made.recordingState, made.activeSpeakerId, seen.length], ["RECORDING_STARTED", "bob", 0]);
  assert.deepEqual(made.participants.get("ada").pinState, { cam: true, share: false });
  tell();
  assert.deepEqual(seen.map(([name]) => name), ["recording-state-changed", "pin-state-changed", "speaker-changed"]);
  made.takeRoom({ state: { recording: structuredClone(STARTED) }, pins, activeSpeakerId: "bob" })();
  assert.equal(seen.length, 3);
  made.takeRoom({})();
  assert.deepEqual(seen.slice(3), [
    ["recording-state-changed", { status: "RECORDING_STOPPED", recordings: [] }],
    ["pin-state-changed", { peerId: "ada", participantId: "ada", state: { cam: false, share: false }, pinnedBy: null }],
    ["speaker-changed", null],
  ]);
  assert.equal(made.pinnedParticipants.size, 0);
});

test("pins are of the room, oneself included, and are asked for by participant", async () => {
  const { made, seen, requests, receive } = room();
  receive("pin-state-changed", { participantId: "me", state: { cam: true, share: true }, pinnedBy: "ada" });
  assert.deepEqual([made.localParticipant.pinState, made.pinnedParticipants.get("me")], [{ cam: true, share: true }, { cam: true, share: true }]);
  assert.equal(seen[0][1].pinnedBy, "ada");
  await made.participants.get("ada").pin();
  await made.participants.get("ada").unpin("CAM");
  assert.deepEqual(requests, [
    ["pin", { participantId: "ada", type: "SHARE_AND_CAM" }],
    ["unpin", { participantId: "ada", type: "CAM" }],
  ]);
});

test("who of the others spoke last is the main one; a pause or one's own voice makes nobody else it", () => {
  const { made, seen, receive } = room();
  for (const participantId of ["bob", null, "me"]) receive("speaker-changed", { participantId });
  assert.deepEqual(seen, [["speaker-changed", "bob"], ["main", "bob"], ["speaker-changed", null], ["speaker-changed", "me"]]);
  assert.equal(made.activeSpeakerId, "me");
});

test("what failed is an error, and the state without it", () => {
  const { made, seen, receive } = room();
  const errors = [];
  made.on("error", ({ code, name, message }) => errors.push([code, name, message]));
  receive("recording-state-changed", STARTED);
  const error = { code: 5001, name: "RECORDING_FAILED", message: "nothing was recorded: no media came" };
  receive("recording-state-changed", { status: "RECORDING_STOPPED", recordings: [], error });
  receive("recording-state-changed", { status: "RECORDING_STOPPED", recordings: [] });
  assert.deepEqual(errors, [[5001, "RECORDING_FAILED", error.message]]);
  assert.deepEqual(seen.map(([, { status }]) => status), ["RECORDING_STARTED", "RECORDING_STOPPED"]);
});
