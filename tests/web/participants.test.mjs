import assert from "node:assert/strict";
import { test } from "node:test";

import { RemoteParticipant } from "../../web/sdk/participant.js";
import { withStartBitrate } from "../../web/sdk/sdp.js";

const MIC = { trackId: "TR_mic", source: "mic", kind: "audio", muted: false, codec: "opus" };
const CAM = { trackId: "TR_cam", source: "webcam", kind: "video", muted: false, codec: "VP8" };

function participant({ tracks = [], autoConsume = true } = {}) {
  const requests = [];
  const request = async (...args) => {
    requests.push(args);
    return {};
  };
  const made = new RemoteParticipant({ participantId: "ada", displayName: "Ada", tracks }, request, autoConsume);
  const seen = [];
  made.on("stream-enabled", (stream) => seen.push(["enabled", stream.kind]));
  made.on("stream-disabled", (stream) => seen.push(["disabled", stream.kind]));
  made.on("media-status-changed", ({ kind, newStatus }) => seen.push([kind, newStatus]));
  return { made, seen, requests };
}

const received = (...ids) => new Map(ids.map((id) => [id, { track: { id: `track of ${id}` }, receiver: {} }]));

test("a stream is there once its track is both announced and received, in either order", () => {
  for (const order of ["announced first", "received first"]) {
    const { made, seen } = participant();
    const steps = [() => made.addTrack({ ...MIC }), () => made.setReceived(received("TR_mic"))];
    if (order === "received first") steps.reverse();
    steps[0]();
    assert.equal(made.streams.size, 0);
    steps[1]();
    assert.deepEqual(seen.filter(([what]) => what === "enabled"), [["enabled", "audio"]]);
    assert.equal(made.streams.get("TR_mic").kind, "audio");
    assert.ok(made.micOn && !made.webcamOn);
  }
});

test("muting takes the stream away and unmuting gives the same one back", () => {
  const { made, seen } = participant({ tracks: [{ ...CAM }] });
  made.setReceived(received("TR_cam"));
  const stream = made.streams.get("TR_cam");
  made.setMuted("TR_cam", true);
  assert.equal(made.streams.size, 0);
  assert.equal(made.webcamOn, false);
  made.setMuted("TR_cam", false);
  assert.equal(made.streams.get("TR_cam"), stream);
  assert.deepEqual(seen, [["enabled", "video"], ["video", false], ["disabled", "video"], ["video", true], ["enabled", "video"]]);
});

test("an ended track is gone; one received anew is another stream", () => {
  const { made, seen } = participant({ tracks: [{ ...CAM }] });
  made.setReceived(received("TR_cam"));
  const before = made.streams.get("TR_cam");
  made.setReceived(received("TR_cam"));
  assert.notEqual(made.streams.get("TR_cam"), before);
  made.removeTrack("TR_cam");
  assert.equal(made.streams.size, 0);
  assert.deepEqual(seen.at(-1), ["disabled", "video"]);
});

test("without autoConsume nothing comes until it is asked for, and it can be given back", async () => {
  const { made, requests } = participant({ tracks: [{ ...MIC }, { ...CAM }], autoConsume: false });
  made.setReceived(received("TR_mic", "TR_cam"));
  assert.equal(made.streams.size, 0);
  assert.ok(made.micOn && made.webcamOn);
  await made.consumeWebcamStreams();
  assert.deepEqual([...made.streams.keys()], ["TR_cam"]);
  await made.stopConsumingWebcamStreams();
  assert.equal(made.streams.size, 0);
  assert.deepEqual(requests, [
    ["subscribe", { trackId: "TR_cam", enabled: true }],
    ["subscribe", { trackId: "TR_cam", enabled: false }],
  ]);
});

test("what is wanted is told for tracks that come later, and to a server that has forgotten it", async () => {
  const { made, requests } = participant({ autoConsume: false });
  await made.consumeMicStreams();
  made.addTrack({ ...MIC });
  made.addTrack({ ...CAM });
  const asked = [["subscribe", { trackId: "TR_mic", enabled: true }]];
  assert.deepEqual(requests, asked);
  made.setTracks([{ ...MIC }, { ...CAM }]);
  assert.deepEqual(requests, asked);
  made.tellWishes();
  assert.deepEqual(requests, [...asked, ...asked]);
});

test("a wish for a size neither resumes what is paused nor asks for nothing", async () => {
  const { made, requests } = participant({ tracks: [{ ...CAM }] });
  made.setReceived(received("TR_cam"));
  await made.streams.get("TR_cam").pause();
  await made.setQuality("low");
  assert.equal(requests.at(-1)[1].enabled, false);
  made.setReceived(received("TR_cam")); // over a new connection
  assert.equal(made.streams.get("TR_cam").paused, true);
  await made.streams.get("TR_cam").resume();
  await made.setViewPort(0, 0.4);
  assert.deepEqual(requests.at(-1)[1], { trackId: "TR_cam", enabled: true, width: 1, height: 1 });
});

test("what should arrive and does not is missing", () => {
  const { made } = participant({ tracks: [{ ...MIC }] });
  assert.ok(made.missing);
  made.setReceived(received("TR_mic"));
  assert.ok(!made.missing);
  assert.ok(!participant({ tracks: [{ ...MIC }], autoConsume: false }).made.missing);
});

test("wishes and moderation are said in the words of the protocol", async () => {
  const { made, requests } = participant({ tracks: [{ ...CAM }] });
  made.setReceived(received("TR_cam"));
  await made.setQuality("low");
  await made.setViewPort(320.4, 180.2);
  await made.disableMic();
  await made.enableWebcam();
  await made.remove();
  await made.streams.get("TR_cam").pause();
  assert.deepEqual(requests, [
    ["subscribe", { trackId: "TR_cam", enabled: true, quality: "low" }],
    ["subscribe", { trackId: "TR_cam", enabled: true, width: 320, height: 180 }],
    ["moderate", { participantId: "ada", source: "mic", enabled: false }],
    ["moderate", { participantId: "ada", source: "webcam", enabled: true }],
    ["remove", { participantId: "ada" }],
    ["subscribe", { trackId: "TR_cam", enabled: false }],
  ]);
  assert.equal(made.quality, "low");
  await assert.rejects(made.setQuality("best"), { name: "INVALID_ARGUMENT" });
});

test("what is said of a participant changes only what is said", () => {
  const { made } = participant();
  made.describe({ metaData: { hand: true }, attributes: { seat: "1" }, version: 2 });
  made.describe({ displayName: "Ada L.", version: 3 });
  assert.deepEqual([made.displayName, made.metaData, made.attributes, made.version], ["Ada L.", { hand: true }, { seat: "1" }, 3]);
});

const ANSWER = [
  "v=0", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10",
  "m=video 9 UDP/TLS/RTP/SAVPF 96 97 102", "a=rtpmap:96 VP8/90000", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96",
  "a=rtpmap:102 H264/90000", "a=fmtp:102 packetization-mode=1", "",
].join("\r\n");

test("video codecs get a start bitrate, retransmission and audio do not, and twice is once", () => {
  const changed = withStartBitrate(ANSWER, 1_200_000);
  const lines = changed.split("\r\n");
  assert.ok(lines.includes("a=fmtp:96 x-google-start-bitrate=1200"));
  assert.ok(lines.includes("a=fmtp:102 packetization-mode=1;x-google-start-bitrate=1200"));
  assert.ok(lines.includes("a=fmtp:97 apt=96"));
  assert.ok(lines.includes("a=fmtp:111 minptime=10"));
  assert.equal(lines.length, ANSWER.split("\r\n").length + 1);
  assert.equal(withStartBitrate(changed, 1_200_000), changed);
});
