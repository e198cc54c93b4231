/**
 * Participants as an application sees them: facts, streams, what may be done to them. What they are is told by
 * signalling; meeting.js feeds them.
 */

import { Emitter } from "./emitter.js";
import { sdkError } from "./errors.js";
import { streamStats } from "./stats.js";
import { KIND_OF_SOURCE, Stream } from "./stream.js";
import { addUnsupported } from "./unsupported.js";

const QUALITIES = ["low", "med", "high"];

/**
 * Events: `stream-enabled` (Stream), `stream-disabled` (Stream), `media-status-changed` ({kind, newStatus}).
 */
export class Participant extends Emitter {
  /** Sources that run. @type {Set<string>} */
  #on = new Set();

  #request;

  /**
   * @param {any} info Participant of docs/signalling.md
   * @param {boolean} local
   * @param {(method: string, params?: object) => Promise<any>} request
   */
  constructor(info, local, request) {
    super();
    this.#request = request;
    /** @type {string} */
    this.id = info.participantId;
    this.local = local;
    /** Running streams by id. @type {Map<string, Stream>} */
    this.streams = new Map();
    this.quality = "high";
    this.screenShareQuality = "high";
    this.pinState = { cam: false, share: false };
    this.describe(info);
  }

  /**
   * For the SDK's own use: takes in what signalling says of this participant.
   * @param {{displayName?: string, mode?: string, metaData?: any, attributes?: Record<string, string>, version?: number,
   *   joinedAt?: string}} info
   */
  describe({ displayName, mode, metaData, attributes, version, joinedAt }) {
    /** @type {string} */
    this.displayName = displayName ?? this.displayName ?? "";
    this.mode = mode ?? this.mode ?? "SEND_AND_RECV";
    this.metaData = metaData === undefined ? this.metaData : metaData;
    /** @type {Record<string, string>} */
    this.attributes = attributes ?? this.attributes ?? {};
    this.version = version ?? this.version ?? 0;
    this.joinedAt = joinedAt ? new Date(joinedAt) : this.joinedAt;
  }

  get micOn() {
    return this.#on.has("mic");
  }
  get webcamOn() {
    return this.#on.has("webcam");
  }
  get screenShareOn() {
    return this.#on.has("screen");
  }
  get screenShareAudioOn() {
    return this.#on.has("screenAudio");
  }

  /** For the SDK's own use. @param {Set<string>} running sources */
  setStatus(running) {
    const before = this.#on;
    this.#on = new Set(running);
    for (const source of Object.keys(KIND_OF_SOURCE)) {
      if (before.has(source) !== running.has(source)) {
        this.emit("media-status-changed", { kind: KIND_OF_SOURCE[source], newStatus: running.has(source) });
      }
    }
  }

  /** For the SDK's own use. @param {Map<string, Stream>} streams the whole truth */
  setStreams(streams) {
    const before = [...this.streams.values()];
    const kept = new Set(streams.values());
    for (const stream of before) {
      if (!kept.has(stream)) {
        this.streams.delete(stream.id);
        this.emit("stream-disabled", stream);
      }
    }
    for (const stream of kept) {
      if (this.streams.get(stream.id) === stream) continue;
      this.streams.set(stream.id, stream);
      this.emit("stream-enabled", stream);
    }
  }

  /** @param {string} kind @returns {Stream | undefined} */
  streamOf(kind) {
    return [...this.streams.values()].find((stream) => stream.kind === kind);
  }

  /**
   * Pins this participant for the whole room; needs `moderate`.
   * @param {"SHARE_AND_CAM"|"CAM"|"SHARE"} [type]
   */
  async pin(type = "SHARE_AND_CAM") {
    await this.#request("pin", { participantId: this.id, type });
  }
  /** @param {"SHARE_AND_CAM"|"CAM"|"SHARE"} [type] */
  async unpin(type = "SHARE_AND_CAM") {
    await this.#request("unpin", { participantId: this.id, type });
  }

  /** @param {string} _kind @returns {RTCRtpSender | RTCRtpReceiver | null} */
  rtpEnd(_kind) {
    return null;
  }

  getVideoStats() {
    return streamStats(this.rtpEnd("video"));
  }
  getAudioStats() {
    return streamStats(this.rtpEnd("audio"));
  }
  getShareStats() {
    return streamStats(this.rtpEnd("share"));
  }
  getShareAudioStats() {
    return streamStats(this.rtpEnd("shareAudio"));
  }

  /**
   * A picture of the camera as it is now.
   * @param {{width?: number, height?: number}} [size]
   * @returns {Promise<string>} data URL of a PNG
   */
  async captureImage({ width, height } = {}) {
    const stream = this.streamOf("video");
    if (!stream) throw sdkError("INVALID_ARGUMENT", "The participant's camera is off");
    const video = document.createElement("video");
    video.muted = true;
    video.srcObject = new MediaStream([stream.track]);
    await video.play();
    const canvas = document.createElement("canvas");
    canvas.width = width ?? video.videoWidth;
    canvas.height = height ?? video.videoHeight;
    canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
    video.srcObject = null;
    return canvas.toDataURL("image/png");
  }
}
addUnsupported(Participant.prototype, "Participant");

/** Somebody else. */
export class RemoteParticipant extends Participant {
  #request;
  /** Announced tracks by id. @type {Map<string, any>} */
  #tracks = new Map();
  /** What arrives, by track id. @type {Map<string, {track: MediaStreamTrack, receiver: RTCRtpReceiver}>} */
  #received = new Map();
  /** Streams once made, so that a track unmuted is the stream it was. @type {Map<string, Stream>} */
  #known = new Map();
  /** Sources whose tracks this client does not want. @type {Set<string>} */
  #unwanted;
  #autoConsume;

  /**
   * @param {any} info
   * @param {(method: string, params?: object) => Promise<any>} request
   * @param {boolean} autoConsume
   */
  constructor(info, request, autoConsume) {
    super(info, false, request);
    this.#request = request;
    this.#autoConsume = autoConsume;
    this.#unwanted = new Set(autoConsume ? [] : Object.keys(KIND_OF_SOURCE));
    this.setTracks(info.tracks ?? []);
  }

  /** For the SDK's own use. @param {any[]} tracks all there are */
  setTracks(tracks) {
    const before = this.#tracks;
    this.#tracks = new Map(tracks.map((track) => [track.trackId, track]));
    for (const track of tracks) if (!before.has(track.trackId)) this.#tellWish(track);
    this.#reconcile();
  }

  /** For the SDK's own use. */
  addTrack(track) {
    if (!this.#tracks.has(track.trackId)) this.#tellWish(track);
    this.#tracks.set(track.trackId, track);
    this.#reconcile();
  }

  /** For the SDK's own use: says what is wanted to a server that has never heard it. */
  tellWishes() {
    for (const track of this.#tracks.values()) this.#tellWish(track);
  }

  /** For the SDK's own use. */
  removeTrack(trackId) {
    this.#tracks.delete(trackId);
    this.#reconcile();
  }

  /** For the SDK's own use. */
  setMuted(trackId, muted) {
    const track = this.#tracks.get(trackId);
    if (!track) return;
    track.muted = muted;
    this.#reconcile();
  }

  /** For the SDK's own use. @param {Map<string, {track: MediaStreamTrack, receiver: RTCRtpReceiver}>} received */
  setReceived(received) {
    this.#received = received;
    this.#reconcile();
  }

  /** For the SDK's own use: tracks that should arrive and do not. */
  get missing() {
    return [...this.#tracks.values()].some(
      ({ trackId, source }) => !this.#unwanted.has(source) && !this.#received.has(trackId),
    );
  }

  rtpEnd(kind) {
    const track = this.#trackOf(kind);
    return (track && this.#received.get(track.trackId)?.receiver) ?? null;
  }

  enableMic() {
    return this.#moderate("mic", true);
  }
  disableMic() {
    return this.#moderate("mic", false);
  }
  enableWebcam() {
    return this.#moderate("webcam", true);
  }
  disableWebcam() {
    return this.#moderate("webcam", false);
  }

  /** Puts this participant out of the meeting. */
  async remove() {
    await this.#request("remove", { participantId: this.id });
  }

  /** @param {"low"|"med"|"high"} quality */
  async setQuality(quality) {
    await this.#wish("webcam", { quality: checked(quality) });
    this.quality = quality;
  }
  /** @param {"low"|"med"|"high"} quality */
  async setScreenShareQuality(quality) {
    await this.#wish("screen", { quality: checked(quality) });
    this.screenShareQuality = quality;
  }
  /** The server picks what suits a tile of this size. @param {number} width @param {number} height */
  async setViewPort(width, height) {
    const pixels = (length) => Math.max(1, Math.round(length)); // a tile may be folded away
    await this.#wish("webcam", { width: pixels(width), height: pixels(height) });
  }

  consumeMicStreams() {
    return this.#consume(["mic", "screenAudio"], true);
  }
  stopConsumingMicStreams() {
    return this.#consume(["mic", "screenAudio"], false);
  }
  consumeWebcamStreams() {
    return this.#consume(["webcam", "screen"], true);
  }
  stopConsumingWebcamStreams() {
    return this.#consume(["webcam", "screen"], false);
  }

  async #moderate(source, enabled) {
    await this.#request("moderate", { participantId: this.id, source, enabled });
  }

  async #wish(source, wish) {
    const track = this.#trackOf(KIND_OF_SOURCE[source]);
    if (track) await this.#request("subscribe", { trackId: track.trackId, enabled: this.#wants(track), ...wish });
  }

  #wants({ trackId, source }) {
    return !this.#unwanted.has(source) && !this.#known.get(trackId)?.paused;
  }

  /** Of a track that the server treats as it treats all of them: only other wishes need be told. */
  #tellWish(track) {
    const enabled = this.#wants(track);
    if (enabled === this.#autoConsume) return;
    this.#request("subscribe", { trackId: track.trackId, enabled }).catch(() => {}); // it may have ended already
  }

  async #consume(sources, enabled) {
    for (const source of sources) enabled ? this.#unwanted.delete(source) : this.#unwanted.add(source);
    const tracks = [...this.#tracks.values()].filter(({ source }) => sources.includes(source));
    this.#reconcile();
    await Promise.all(tracks.map(({ trackId }) => this.#request("subscribe", { trackId, enabled })));
  }

  #trackOf(kind) {
    return [...this.#tracks.values()].find(({ source }) => KIND_OF_SOURCE[source] === kind);
  }

  #reconcile() {
    const running = [...this.#tracks.values()].filter(({ muted }) => !muted);
    const streams = new Map();
    for (const { trackId, source, codec } of running) {
      const received = this.#received.get(trackId);
      if (!received || this.#unwanted.has(source)) continue;
      let stream = this.#known.get(trackId);
      if (stream?.track !== received.track) {
        const pause = (paused) => this.#request("subscribe", { trackId, enabled: !paused });
        stream = new Stream({ id: trackId, source, codec, pause, paused: stream?.paused, ...received });
        this.#known.set(trackId, stream);
      }
      streams.set(trackId, stream);
    }
    for (const trackId of this.#known.keys()) if (!this.#tracks.has(trackId)) this.#known.delete(trackId);
    this.setStatus(new Set(running.map(({ source }) => source)));
    this.setStreams(streams);
  }
}

/** Oneself. Its media are what the meeting's own methods say; these are the same by the other name. */
export class LocalParticipant extends Participant {
  #meeting;
  #senderOf;

  /**
   * @param {any} info
   * @param {any} meeting
   * @param {(kind: string) => RTCRtpSender | null} senderOf
   * @param {(method: string, params?: object) => Promise<any>} request
   */
  constructor(info, meeting, senderOf, request) {
    super(info, true, request);
    this.#meeting = meeting;
    this.#senderOf = senderOf;
  }

  rtpEnd(kind) {
    return this.#senderOf(kind);
  }

  enableMic() {
    return this.#meeting.unmuteMic();
  }
  disableMic() {
    return this.#meeting.muteMic();
  }
  enableWebcam() {
    return this.#meeting.enableWebcam();
  }
  disableWebcam() {
    return this.#meeting.disableWebcam();
  }
  remove() {
    return this.#meeting.leave();
  }
}

function checked(quality) {
  if (!QUALITIES.includes(quality)) throw sdkError("INVALID_ARGUMENT", `quality is one of ${QUALITIES.join(", ")}`);
  return quality;
}
