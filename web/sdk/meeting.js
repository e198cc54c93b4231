/**
 * A meeting as an application sees it: the names of the reference's section 4.3 and 4.4 over Session (signalling),
 * Connections (media) and LocalMedia (devices). This file binds them and holds no protocol of its own.
 */

import { Connections } from "./connections.js";
import { listDevices } from "./devices.js";
import { TidegateError, sdkError } from "./errors.js";
import { HANDLERS } from "./events.js";
import { LocalMedia } from "./local-media.js";
import { LocalParticipant, RemoteParticipant } from "./participant.js";
import { Presenter } from "./presenter.js";
import { Room } from "./room.js";
import { Session } from "./session.js";
import { KIND_OF_SOURCE } from "./stream.js";
import { addUnsupported } from "./unsupported.js";

const SDK = Object.freeze({ type: "js", version: "0.1.0" });
const SOURCE_OF_KIND = Object.fromEntries(Object.entries(KIND_OF_SOURCE).map(([source, kind]) => [kind, source]));

/** @param {string} baseUrl http(s) or ws(s) @returns {string} */
export function signalUrl(baseUrl) {
  const url = new URL(baseUrl.includes("://") ? baseUrl : `https://${baseUrl}`);
  url.protocol = url.protocol.replace("http", "ws");
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/v2/signal`;
  return url.href;
}

export class Meeting extends Room {
  #options;
  #session;
  #media;
  #grants = { publish: [] };
  #sessionId = null;
  #connections;
  #state = "DISCONNECTED";
  #joining = false;
  #presenter = new Presenter(this);

  /**
   * Made by VideoSDK.initMeeting.
   * @param {any} options
   * @param {{token: string, baseUrl: string}} server
   */
  constructor(options, { token, baseUrl }) {
    super((...args) => this.#session.request(...args));
    this.#options = options;
    /** @type {string} */
    this.id = options.meetingId;
    /** The others. @type {Map<string, RemoteParticipant>} */
    this.participants = new Map();
    /** @type {string | null} */
    this.activePresenterId = null;
    this.hlsState = "HLS_STOPPED";
    this.hlsUrls = {};
    this.transcriptionState = "TRANSCRIPTION_STOPPED";
    this.isE2EEEnabled = false;
    this.pubSub = {};
    addUnsupported(this.pubSub, "PubSub");
    this.realtimeStore = {};
    addUnsupported(this.realtimeStore, "RealtimeStore");
    this.#media = new LocalMedia(options, this.#report, () => this.emit("device-selected"));
    /** Oneself; its id is the server's after joining. */
    this.localParticipant = new LocalParticipant(
      { participantId: options.participantId ?? "", displayName: options.name, mode: options.mode },
      this,
      (kind) => this.#connections.sender(SOURCE_OF_KIND[kind]),
      this.#request,
    );
    this.#presenter.watch(this.localParticipant);
    this.#session = new Session(signalUrl(baseUrl), () => this.#joinParams(token));
    this.#connections = new Connections(this.#session);
    this.#listen();
  }

  get mainParticipantId() {
    return this.#presenter.mainId;
  }
  get selectedCameraDevice() {
    return this.#media.selected("webcam");
  }
  get selectedMicrophoneDevice() {
    return this.#media.selected("mic");
  }
  /** CONNECTING, CONNECTED, RECONNECTING, DISCONNECTED or FAILED */
  get state() {
    return this.#state;
  }
  /** What this participant may do (docs/tokens.md). An addition of Tidegate. */
  get grants() {
    return this.#grants;
  }
  /** Id of this occupancy of the room. An addition of Tidegate. */
  get sessionId() {
    return this.#sessionId;
  }

  /** Resolves when joined; microphone and camera follow by themselves, what fails of them is an `error` event. */
  async join() {
    if (this.#joining) throw new TidegateError(4097, "ALREADY_JOINED", "This meeting object was joined before");
    this.#joining = true;
    this.#setState("CONNECTING");
    const sends = this.#options.mode === "SEND_AND_RECV";
    let tellRoom = () => {};
    const prepared = sends ? this.#media.prepare().catch(this.#report) : Promise.resolve();
    try {
      tellRoom = this.#begin(await this.#session.start());
    } catch (error) {
      this.#media.stop();
      if (this.#state === "CONNECTING") this.#setState("FAILED"); // and not when it was left meanwhile
      throw error;
    }
    this.emit("meeting-joined");
    for (const participant of this.participants.values()) this.emit("participant-joined", participant);
    tellRoom(); // what runs already is news to who comes
    this.#presenter.hear();
    if (sends) prepared.then(() => this.#publishAll());
  }

  async leave() {
    await this.#session.leave();
  }

  /** Puts everybody out and ends the session. */
  async end() {
    await this.#session.request("end").catch((error) => {
      if (this.#state !== "DISCONNECTED") throw error; // being put out oneself may come before the answer
    });
  }

  muteMic() {
    return this.#media.turnOff("mic");
  }
  /** @param {MediaStream | MediaStreamTrack} [track] */
  async unmuteMic(track) {
    this.#mayPublish("mic");
    await this.#media.turnOn("mic", track);
  }
  toggleMic(track) {
    return this.#media.isOn("mic") ? this.muteMic() : this.unmuteMic(track);
  }
  /** @param {MediaStream | MediaStreamTrack} [track] */
  async enableWebcam(track) {
    this.#mayPublish("webcam");
    await this.#media.turnOn("webcam", track);
  }
  disableWebcam() {
    return this.#media.turnOff("webcam");
  }
  toggleWebcam(track) {
    return this.#media.isOn("webcam") ? this.disableWebcam() : this.enableWebcam(track);
  }
  /** @param {MediaStream | MediaStreamTrack} [track] */
  async enableScreenShare(track) {
    this.#mayPublish("screen");
    await this.#media.startScreen(track);
  }
  disableScreenShare() {
    return this.#media.stopScreen();
  }
  toggleScreenShare(track) {
    return this.#media.isOn("screen") ? this.disableScreenShare() : this.enableScreenShare(track);
  }

  /** @param {string | MediaStream | MediaStreamTrack} choice device id or track */
  changeMic(choice) {
    return this.#media.change("mic", choice);
  }
  /** @param {string | MediaStream | MediaStreamTrack} choice device id or track */
  changeWebcam(choice) {
    return this.#media.change("webcam", choice);
  }
  replaceWebcamStream(stream) {
    return this.#media.change("webcam", stream);
  }
  /** @param {"low"|"med"|"high"} quality */
  setWebcamQuality(quality) {
    return this.#media.setWebcamQuality(quality);
  }
  getMics() {
    return listDevices("audioinput");
  }
  getWebcams() {
    return listDevices("videoinput");
  }

  /** @param {"audio"|"video"|"share"|"shareAudio"} [kind] all kinds when left out */
  async pauseAllStreams(kind) {
    await this.#eachStream(kind, (stream) => stream.pause());
    this.emit("paused-all-streams", { kind });
  }
  /** @param {"audio"|"video"|"share"|"shareAudio"} [kind] */
  async resumeAllStreams(kind) {
    await this.#eachStream(kind, (stream) => stream.resume());
    this.emit("resumed-all-streams", { kind });
  }

  /**
   * Changes what others see of oneself. `attributes` are merged, null removes one. An addition of Tidegate.
   * @param {{displayName?: string, metaData?: any, attributes?: Record<string, string | null>, ifVersion?: number}} changes
   */
  async update(changes) {
    const { version } = await this.#session.request("update", changes);
    const attributes = { ...this.localParticipant.attributes, ...(changes.attributes ?? {}) };
    for (const key of Object.keys(attributes)) if (attributes[key] === null) delete attributes[key];
    this.localParticipant.describe({ ...changes, attributes, version });
  }

  /** Changes what somebody may do; needs `moderate`. An addition of Tidegate. */
  async setGrants(participantId, grants) {
    await this.#session.request("set-grants", { participantId, grants });
  }

  #joinParams(token) {
    const { meetingId, participantId, name, metaData, attributes, mode, autoConsume } = this.#options;
    const params = { token, roomId: meetingId, mode, autoSubscribe: autoConsume, sdk: SDK };
    const optional = { participantId, displayName: name, metaData, attributes };
    for (const [key, value] of Object.entries(optional)) if (value !== undefined) params[key] = value;
    return params;
  }

  #listen() {
    this.#session.on("event", (name, data) => {
      const handler = HANDLERS[name];
      // Events this version does not know are the future's.
      if (handler) Promise.resolve(handler.call(this.#inside, data)).catch(this.#report);
    });
    this.#connections.on("state", () => this.#followState());
    this.#connections.on("received", () => this.#applyReceived());
    this.#session.on("joined-again", (result) => this.#resume(result));
    this.#session.on("ended", (reason, error) => this.#finish(reason, error));
  }

  /** What the event handlers below may touch. */
  get #inside() {
    return {
      meeting: this,
      addParticipant: (info) => this.#addParticipant(info),
      dropParticipant: (id, reason) => this.#dropParticipant(id, reason),
      connections: this.#connections,
      media: this.#media,
      publishAll: () => this.#publishAll(),
      setGrants: (grants) => (this.#grants = grants),
      presenter: this.#presenter,
      applyReceived: () => this.#applyReceived(),
    };
  }

  #begin(result) {
    this.#grants = result.grants;
    this.#sessionId = result.sessionId;
    this.localParticipant.id = result.participantId;
    this.localParticipant.describe(result.participant ?? {});
    for (const info of result.participants) this.#addParticipant(info, { quiet: true });
    this.#connections.begin(result.iceServers ?? []);
    return this.takeRoom(result);
  }

  async #publishAll() {
    try {
      const publisher = this.#connections.openPublisher();
      if (publisher) await this.#media.publishAll(publisher, this.localParticipant, this.#grants.publish ?? []);
    } catch (error) {
      this.#report(error);
    }
  }

  /** @param {any} result of the join that followed a drop */
  #resume(result) {
    if (!result.resumed) this.#connections.close();
    const present = new Set(result.participants.map(({ participantId }) => participantId));
    for (const id of [...this.participants.keys()]) {
      if (!present.has(id)) this.#dropParticipant(id, { code: 1007, name: "UNKNOWN" });
    }
    for (const info of result.participants) {
      const known = this.participants.get(info.participantId);
      known?.describe(info);
      known?.setTracks(info.tracks ?? []);
    }
    const unknown = result.participants.filter(({ participantId }) => !this.participants.has(participantId));
    const tellRoom = this.#begin({ ...result, participants: [] });
    for (const info of unknown) this.#addParticipant(info);
    tellRoom();
    this.#presenter.hear();
    if (!result.resumed) {
      for (const participant of this.participants.values()) participant.tellWishes();
      this.#publishAll();
      return;
    }
    const own = new Set((result.participant.tracks ?? []).map(({ trackId }) => trackId));
    if (this.#connections.isKnown(own)) this.#media.confirm().catch(this.#report);
    else {
      // A connection that failed, or a grant that was taken back, was told while nobody could hear it.
      this.#connections.drop("publish");
      this.#publishAll();
    }
    const misses = () => [...this.participants.values()].some((participant) => participant.missing);
    this.#connections.recover(misses).catch(this.#report);
  }

  #finish(reason, error) {
    this.#connections.close();
    this.#media.stop();
    this.localParticipant.setStatus(new Set());
    this.localParticipant.setStreams(new Map());
    this.participants.clear();
    const tellRoom = this.takeRoom({});
    this.#presenter.end();
    if (error) this.#report(error);
    this.#setState(error ? "FAILED" : "DISCONNECTED");
    tellRoom();
    this.emit("meeting-left", reason);
  }

  #addParticipant(info, { quiet = false } = {}) {
    const known = this.participants.get(info.participantId);
    if (known) {
      known.describe(info);
      known.setTracks(info.tracks ?? []);
      return;
    }
    const participant = new RemoteParticipant(info, this.#request, this.#options.autoConsume);
    this.participants.set(participant.id, participant);
    participant.pinState = this.pinnedParticipants.get(participant.id) ?? participant.pinState;
    this.#presenter.watch(participant);
    if (!quiet) this.emit("participant-joined", participant);
    this.#applyReceived();
    this.#presenter.follow(participant);
  }

  #dropParticipant(id, reason) {
    const participant = this.participants.get(id);
    if (!participant) return;
    this.participants.delete(id);
    this.pinnedParticipants.delete(id);
    participant.setTracks([]);
    this.emit("participant-left", participant, reason);
    this.#presenter.follow(participant);
  }

  #applyReceived() {
    for (const participant of this.participants.values()) {
      const own = this.#connections.received.filter(({ participantId }) => participantId === participant.id);
      participant.setReceived(new Map(own.map(({ trackId, track, receiver }) => [trackId, { track, receiver }])));
    }
  }

  #followState() {
    if (!this.#joining || this.#state === "DISCONNECTED" || this.#state === "FAILED") return;
    this.#setState(this.#connections.up ? "CONNECTED" : "RECONNECTING");
  }

  #setState(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.emit("meeting-state-changed", { state });
  }

  #mayPublish(source) {
    if (this.#state !== "CONNECTED" && this.#state !== "RECONNECTING") {
      throw new TidegateError(4096, "NOT_JOINED", "The meeting is not joined");
    }
    if (!this.#grants.publish.includes(source) || this.#options.mode !== "SEND_AND_RECV") {
      throw new TidegateError(4093, "PUBLISH_NOT_ALLOWED", `This participant may not send ${source}`);
    }
  }

  async #eachStream(kind, act) {
    const streams = [...this.participants.values()].flatMap((participant) => [...participant.streams.values()]);
    await Promise.all(streams.filter((stream) => !kind || stream.kind === kind).map(act));
  }

  #request = (method, params) => this.#session.request(method, params);

  #report = (error) => {
    // What was under way when one left is nobody's error; what an outage ended is done again after it.
    if (this.#state === "DISCONNECTED" || error?.name === "CONNECTION_LOST") return;
    const known = error instanceof TidegateError || typeof error?.code === "number";
    this.emit("error", known ? error : sdkError("MEDIA_FAILED", String(error), error));
  };
}
addUnsupported(Meeting.prototype, "Meeting");
