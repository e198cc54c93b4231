import assert from "node:assert/strict";
import { test } from "node:test";

import { screenEncodings, videoBitrate, webcamEncodings } from "../../web/sdk/encodings.js";
import { Emitter } from "../../web/sdk/emitter.js";
import { SDK_ERRORS, TidegateError, mediaError } from "../../web/sdk/errors.js";
import { signalUrl } from "../../web/sdk/meeting.js";
import { Sequence } from "../../web/sdk/peer.js";
import { backoffDelay } from "../../web/sdk/session.js";
import VideoSDKDefault, { VideoSDK } from "../../web/sdk/tidegate.js";
import { UNSUPPORTED } from "../../web/sdk/unsupported.js";

test("one encoding without simulcast, three with, fewer where a layer would be too small", () => {
  assert.deepEqual(webcamEncodings({ width: 1280, height: 720 }, false), [{ maxBitrate: 1_700_000 }]);
  const layers = webcamEncodings({ width: 1280, height: 720 }, true);
  assert.deepEqual(layers.map(({ rid }) => rid), ["q", "h", "f"]);
  assert.deepEqual(layers.map(({ maxBitrate }) => maxBitrate), [videoBitrate(180), videoBitrate(360), videoBitrate(720)]);
  assert.deepEqual(webcamEncodings({ width: 320, height: 240 }, true).map(({ rid }) => rid), ["h", "f"]);
  assert.deepEqual(webcamEncodings({ width: 80, height: 60 }, true).map(({ rid }) => rid), ["f"]);
  assert.equal(webcamEncodings({}, false)[0].maxBitrate, videoBitrate(480));
  assert.equal(webcamEncodings({ width: 720, height: 1280 }, false)[0].maxBitrate, videoBitrate(720)); // upright phone
  assert.equal(screenEncodings().length, 1);
});

test("bitrates grow with the picture and never run out", () => {
  const heights = [90, 180, 240, 360, 480, 540, 720, 1080, 1440, 2160, 4320];
  const rates = heights.map(videoBitrate);
  assert.deepEqual(rates, [...rates].sort((a, b) => a - b));
});

test("on, once, off; a listener may take itself off; one that throws stops nobody", (context) => {
  context.mock.method(console, "error", () => {});
  const emitter = new Emitter();
  const seen = [];
  const every = (value) => seen.push(["every", value]);
  const single = (value) => seen.push(["once", value]);
  emitter.on("x", () => { throw new Error("a listener's own fault"); }).on("x", every).once("x", single);
  emitter.emit("x", 1);
  emitter.emit("x", 2);
  assert.deepEqual(seen, [["every", 1], ["once", 1], ["every", 2]]);
  emitter.off("x", every).once("x", single).off("x", single);
  emitter.emit("x", 3);
  assert.equal(seen.length, 3);
});

test("what getUserMedia throws becomes an error with a code", () => {
  const denied = mediaError(new DOMException("no", "NotAllowedError"));
  assert.ok(denied instanceof TidegateError && denied instanceof Error);
  assert.deepEqual([denied.code, denied.name], [SDK_ERRORS.PERMISSION_DENIED, "PERMISSION_DENIED"]);
  assert.equal(mediaError(new DOMException("no", "NotAllowedError"), { screen: true }).name, "SCREEN_SHARE_CANCELLED");
  assert.equal(mediaError(new DOMException("?", "NotFoundError")).name, "DEVICE_NOT_FOUND");
  assert.equal(mediaError(new TypeError("?")).name, "MEDIA_FAILED");
  assert.equal(mediaError(denied), denied);
  assert.equal(new Set(Object.values(SDK_ERRORS)).size, Object.keys(SDK_ERRORS).length);
});

test("the signalling address follows the server's", () => {
  assert.equal(signalUrl("https://m.example"), "wss://m.example/v2/signal");
  assert.equal(signalUrl("http://127.0.0.1:8080/"), "ws://127.0.0.1:8080/v2/signal");
  assert.equal(signalUrl("wss://m.example/base/"), "wss://m.example/base/v2/signal");
  assert.equal(signalUrl("m.example"), "wss://m.example/v2/signal");
});

test("waits between attempts grow, are bounded and are spread", () => {
  const delays = [0, 1, 2, 3, 4, 5, 20].map((attempt) => backoffDelay(attempt, 0.5));
  assert.deepEqual(delays, [250, 500, 1000, 2000, 4000, 4000, 4000]);
  assert.ok(backoffDelay(3, 0) < backoffDelay(3, 0.99));
});

test("a sequence runs one task at a time, and goes on after one that fails", async () => {
  const sequence = new Sequence();
  const log = [];
  const task = (name, fails) => async () => {
    log.push(`${name} starts`);
    await Promise.resolve();
    log.push(`${name} ends`);
    if (fails) throw new Error(name);
  };
  const first = sequence.run(task("a", true));
  const second = sequence.run(task("b"));
  await assert.rejects(first, /a/);
  await second;
  assert.deepEqual(log, ["a starts", "a ends", "b starts", "b ends"]);
});

test("the module exports VideoSDK by name and as default, and refuses nonsense with an error of its own", async () => {
  assert.equal(VideoSDKDefault, VideoSDK);
  const refused = (call) => assert.throws(call, { name: "INVALID_ARGUMENT", code: SDK_ERRORS.INVALID_ARGUMENT });
  refused(() => VideoSDK.config(""));
  refused(() => VideoSDK.initMeeting({ meetingId: "x" })); // no token yet
  VideoSDK.config("t");
  refused(() => VideoSDK.initMeeting({}));
  refused(() => VideoSDK.initMeeting({ meetingId: "x", mode: "LOUD" }));
  refused(() => VideoSDK.initMeeting({ meetingId: "x", maxResolution: "8k" }));
  assert.throws(() => VideoSDK.initMeeting({ meetingId: "x", preferredProtocol: "TCP_ONLY" }), { name: "NOT_SUPPORTED" });
});

test("what the reference has and we have not rejects by name, and is on no list by mistake", async () => {
  VideoSDK.config("t");
  const meeting = VideoSDK.initMeeting({ meetingId: "x", signalingBaseUrl: "http://127.0.0.1:1" });
  const owners = { VideoSDK, Meeting: meeting, Participant: meeting.localParticipant, PubSub: meeting.pubSub, RealtimeStore: meeting.realtimeStore };
  for (const [owner, methods] of Object.entries(UNSUPPORTED)) {
    for (const method of methods) {
      await assert.rejects(owners[owner][method](), { name: "NOT_SUPPORTED", code: 3101, message: new RegExp(`${owner}\\.${method}`) });
    }
  }
  const there = ["join", "leave", "end", "on", "off", "once", "muteMic", "unmuteMic", "toggleMic", "enableWebcam", "disableWebcam",
    "toggleWebcam", "enableScreenShare", "disableScreenShare", "toggleScreenShare", "changeMic", "changeWebcam", "getMics",
    "getWebcams", "replaceWebcamStream", "setWebcamQuality", "pauseAllStreams", "resumeAllStreams"];
  for (const method of there) assert.equal(typeof meeting[method], "function", method);
  await assert.rejects(meeting.enableWebcam(), { name: "NOT_JOINED", code: 4096 });
});
