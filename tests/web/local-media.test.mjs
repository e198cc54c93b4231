import assert from "node:assert/strict";
import { test } from "node:test";

import { LocalMedia } from "../../web/sdk/local-media.js";
import { LocalParticipant } from "../../web/sdk/participant.js";
import { sdkError } from "../../web/sdk/errors.js";

class FakeTrack {
  readyState = "live";
  enabled = true;
  label = "";
  constructor(kind) {
    this.kind = kind;
  }
  stop() {
    this.readyState = "ended";
  }
  getSettings() {
    return { deviceId: "a", width: 640, height: 480 };
  }
}

const streamOf = (...kinds) => {
  const tracks = kinds.map((kind) => new FakeTrack(kind));
  return { getTracks: () => tracks };
};

/** What the person answers to a prompt, when the test says so. */
class Devices {
  opened = [];
  prompts = [];
  getUserMedia = async ({ audio, video }) => {
    const prompt = this.prompts.shift();
    if (prompt) await prompt;
    const stream = streamOf(...[audio && "audio", video && "video"].filter(Boolean));
    this.opened.push(...stream.getTracks());
    return stream;
  };
  getDisplayMedia = async () => {
    const stream = streamOf("video", "audio");
    this.opened.push(...stream.getTracks());
    return stream;
  };
  get live() {
    return this.opened.filter(({ readyState }) => readyState === "live").length;
  }
}

class FakePublisher {
  published = new Map();
  log = [];
  failure = null;
  async publish(publications) {
    await Promise.resolve();
    if (this.failure) throw this.failure;
    for (const { source, muted } of publications) this.published.set(source, { muted });
    this.log.push(["publish", ...publications.map(({ source }) => source)]);
  }
  async unpublish(sources) {
    for (const source of sources) this.published.delete(source);
  }
  async replaceTrack(source, track) {
    this.log.push(["replace", source, track?.kind ?? null]);
  }
  async setMuted(source, muted) {
    if (this.failure) throw this.failure;
    if (this.published.has(source)) this.published.set(source, { muted });
  }
  trackId(source) {
    return this.published.has(source) ? `TR_${source}` : null;
  }
}

function media(options = {}) {
  const devices = new Devices();
  Object.defineProperty(globalThis, "navigator", { value: { mediaDevices: devices }, configurable: true });
  const errors = [];
  const made = new LocalMedia({ micEnabled: true, webcamEnabled: true, ...options }, (error) => errors.push(error.name), () => {});
  const participant = new LocalParticipant({ participantId: "me" }, null, () => null);
  return { made, devices, errors, participant, publisher: new FakePublisher() };
}

const ALL = ["mic", "webcam", "screen", "screenAudio"];
const deferred = () => {
  let resolve;
  return { promise: new Promise((done) => (resolve = done)), resolve };
};
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

test("who leaves while a prompt is open leaves no device on when it is answered", async () => {
  const { made, devices } = media();
  const answer = deferred();
  devices.prompts.push(answer.promise);
  const prepared = made.prepare();
  made.stop();
  answer.resolve();
  await prepared;
  assert.deepEqual([devices.opened.length, devices.live], [2, 0]);
});

test("the same for a device turned on in the meeting, and for a screen", async () => {
  const { made, devices, participant, publisher } = media({ micEnabled: false, webcamEnabled: false });
  await made.publishAll(publisher, participant, ALL);
  const answer = deferred();
  devices.prompts.push(answer.promise);
  const turned = made.turnOn("webcam");
  const shared = made.startScreen();
  made.stop();
  answer.resolve();
  await assert.rejects(turned, { name: "NOT_JOINED" });
  await assert.rejects(shared, { name: "NOT_JOINED" });
  assert.deepEqual([devices.opened.length, devices.live], [3, 0]);
});

test("a click while the first prompt is open opens no second device", async () => {
  const { made, devices, participant, publisher } = media();
  const answer = deferred();
  devices.prompts.push(answer.promise);
  const prepared = made.prepare();
  const clicked = made.turnOn("mic");
  answer.resolve();
  await Promise.all([prepared, clicked]);
  assert.equal(devices.opened.length, 2);
  await made.publishAll(publisher, participant, ALL);
  assert.deepEqual(publisher.log, [["publish", "mic", "webcam"]]);
  assert.ok(participant.micOn && participant.webcamOn);
});

test("what a replaced connection could not do is no error: the new one has it all", async () => {
  const { made, participant, publisher } = media({ micEnabled: false, webcamEnabled: false });
  await made.publishAll(publisher, participant, ALL);
  publisher.failure = sdkError("CONNECTION_LOST", "");
  const next = new FakePublisher();
  const turned = made.turnOn("mic");
  await settle; // the prompt is answered, the first connection asked
  const shared = made.startScreen();
  await Promise.resolve();
  await made.publishAll(next, participant, ALL);
  await Promise.all([turned, shared]);
  await settle();
  await made.confirm();
  assert.deepEqual([...next.published.keys()].sort(), ["mic", "screen", "screenAudio"]);
  assert.ok(participant.micOn && participant.screenShareOn);
});

test("what was lost with the signalling while it was being published is published when that is back", async () => {
  const { made, errors, participant, publisher } = media();
  await made.prepare();
  publisher.failure = sdkError("CONNECTION_LOST", "");
  await made.publishAll(publisher, participant, ALL);
  publisher.failure = null;
  await made.turnOff("mic");
  await made.confirm();
  assert.deepEqual([...publisher.published], [["mic", { muted: true }], ["webcam", { muted: false }]]);
  assert.ok(!participant.micOn && participant.webcamOn);
  assert.deepEqual(errors, []);
});

test("what the server refuses is closed and counts as off", async () => {
  const { made, devices, participant, publisher } = media();
  await made.prepare();
  publisher.failure = sdkError("REQUEST_TIMEOUT", "");
  await assert.rejects(made.publishAll(publisher, participant, ALL), { name: "REQUEST_TIMEOUT" });
  assert.equal(devices.live, 0);
  assert.ok(!made.isOn("mic") && !made.isOn("webcam"));
});

test("a screen is shared without its sound where only that is not allowed", async () => {
  const { made, devices, participant, publisher } = media({ micEnabled: false, webcamEnabled: false });
  await made.publishAll(publisher, participant, ["screen"]);
  await made.startScreen();
  assert.deepEqual(publisher.log, [["publish", "screen"]]);
  assert.equal(devices.live, 1);
  assert.ok(participant.screenShareOn && !participant.screenShareAudioOn);
});

test("a track given a second time is not closed", async () => {
  const { made, participant, publisher } = media({ micEnabled: false, webcamEnabled: false });
  await made.publishAll(publisher, participant, ALL);
  const track = new FakeTrack("audio");
  await made.turnOn("mic", track);
  await made.turnOff("mic");
  await made.turnOn("mic", track);
  await made.change("mic", track);
  assert.equal(track.readyState, "live");
});

test("where the chosen camera cannot be opened beside the present one, that is closed first", async () => {
  const { made, devices, participant, publisher } = media({ micEnabled: false });
  await made.prepare();
  await made.publishAll(publisher, participant, ALL);
  devices.getUserMedia = async () => {
    if (devices.live) throw new DOMException("one camera at a time", "NotReadableError");
    const stream = streamOf("video");
    devices.opened.push(...stream.getTracks());
    return stream;
  };
  await made.change("webcam", "rear");
  assert.deepEqual([devices.opened.length, devices.live], [2, 1]);
  assert.ok(participant.webcamOn);
});

test("a camera that cannot be opened again counts as off", async () => {
  const { made, devices, errors, participant, publisher } = media({ micEnabled: false });
  await made.prepare();
  await made.publishAll(publisher, participant, ALL);
  devices.getUserMedia = async () => {
    throw new DOMException("taken", "NotReadableError");
  };
  await assert.rejects(made.change("webcam", "rear"), { name: "DEVICE_IN_USE" });
  await settle();
  assert.deepEqual(errors, ["DEVICE_LOST"]);
  assert.equal(participant.webcamOn, false);
});
