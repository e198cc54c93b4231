import assert from "node:assert/strict";
import { test } from "node:test";

import { Publisher } from "../../web/sdk/publisher.js";
import { sdkError } from "../../web/sdk/errors.js";

/** As much of a peer connection as offers and transceivers need. */
class FakePeer extends EventTarget {
  signalingState = "stable";
  connectionState = "new";
  transceivers = [];
  addTransceiver(track, { direction }) {
    const sender = {
      track,
      replaceTrack: async (next) => void (sender.track = next),
      getParameters: () => ({ encodings: [] }),
      setParameters: async () => {},
    };
    const transceiver = { mid: String(this.transceivers.length), direction, sender };
    this.transceivers.push(transceiver);
    return transceiver;
  }
  async createOffer() {
    return { type: "offer", sdp: "offer" };
  }
  async setLocalDescription(description) {
    this.localDescription = description;
    this.signalingState = description.type === "offer" ? "have-local-offer" : "stable";
  }
  async setRemoteDescription() {
    if (this.hangs) await new Promise(() => {});
    this.signalingState = "stable";
  }
  close() {
    this.signalingState = "closed";
  }
}

const track = (kind) => ({ kind, label: "", getSettings: () => ({ width: 640, height: 480 }) });
const MIC = { source: "mic", track: track("audio") };
const CAM = { source: "webcam", track: track("video") };

function publisher(answers = {}) {
  let peer;
  globalThis.RTCPeerConnection = class extends FakePeer {
    constructor() {
      super();
      peer = this;
    }
  };
  const requests = [];
  let serial = 0;
  const request = async (method, params) => {
    requests.push([method, params]);
    await Promise.resolve();
    if (answers[method]) return answers[method](params);
    if (method === "announce") return { trackId: `TR_${params.source}_${++serial}` };
    return method === "publish" ? { sdp: "" } : {};
  };
  return { made: new Publisher(request, [], () => {}), peer, requests, asked: () => requests.map(([method]) => method) };
}

test("who mutes while being published is muted", async () => {
  const { made, requests } = publisher();
  await Promise.all([made.publish([MIC]), made.setMuted("mic", true)]);
  assert.deepEqual(requests.at(-1), ["mute", { trackId: "TR_mic_1", muted: true }]);
});

test("a camera closed while being published sends nothing", async () => {
  const { made, peer } = publisher();
  await Promise.all([made.publish([CAM]), made.replaceTrack("webcam", null)]);
  assert.equal(peer.transceivers[0].sender.track, null);
});

test("a source that is published twice at once is one track, as the later says", async () => {
  const { made, peer, requests, asked } = publisher();
  const other = track("audio");
  await Promise.all([made.publish([{ ...MIC, muted: true }]), made.publish([{ source: "mic", track: other }])]);
  assert.deepEqual(asked(), ["announce", "publish", "mute"]);
  assert.deepEqual(requests.at(-1), ["mute", { trackId: "TR_mic_1", muted: false }]);
  assert.equal(peer.transceivers[0].sender.track, other);
});

test("when one of two is refused, the other is taken back, and may be published alone", async () => {
  const refuse = ({ source }) => {
    if (source === "webcam") throw sdkError("NOT_SUPPORTED", "no");
    return { trackId: "TR_mic" };
  };
  const { made, asked } = publisher({ announce: refuse });
  await assert.rejects(made.publish([MIC, CAM]), { name: "NOT_SUPPORTED" });
  assert.deepEqual(asked(), ["announce", "announce", "unpublish"]);
  assert.deepEqual(made.trackIds, []);
  await made.publish([MIC]);
  assert.deepEqual(made.trackIds, ["TR_mic"]);
});

test("an m-line is used again for the next track of its source", async () => {
  const { made, peer } = publisher();
  await made.publish([MIC]);
  await made.unpublish(["mic"]);
  assert.equal(peer.transceivers[0].direction, "inactive");
  await made.publish([MIC]);
  assert.equal(peer.transceivers.length, 1);
  assert.equal(peer.transceivers[0].direction, "sendonly");
  assert.deepEqual(made.trackIds, ["TR_mic_2"]);
});

test("closing ends what is under way and what waits, also where the browser never answers", async () => {
  const { made, peer, asked } = publisher();
  peer.hangs = true;
  const waiting = [made.publish([MIC]), made.publish([CAM]), made.restart()];
  const settled = Promise.allSettled(waiting);
  await new Promise((resolve) => setTimeout(resolve, 0));
  made.close();
  for (const { reason } of await settled) assert.equal(reason.name, "CONNECTION_LOST");
  assert.deepEqual(asked(), ["announce", "publish"]);
});
