/**
 * The publish connection: the client offers, the server answers. Knows sources and their m-lines; muting and replacing
 * a track need no new offer. Not here: where tracks come from (local-media.js).
 */

import { sdkError } from "./errors.js";
import { PathGuard, Sequence, makeConnection } from "./peer.js";
import { withStartBitrate } from "./sdp.js";

// As much as a picture of 720 lines needs to be sent whole at once; a slower uplink is found out within a second.
const START_BITRATE = 1_200_000;
// Chromium takes a camera that runs before the connection stands for one on a line of 300 kbit/s and sends it at half its
// size, which then grows by a step in ten seconds. So the size is held until the estimate has come to the truth.
const ESTIMATE_MS = 2000;

/**
 * @typedef {object} Publication
 * @property {"mic"|"webcam"|"screen"|"screenAudio"} source
 * @property {MediaStreamTrack} track
 * @property {boolean} [muted]
 * @property {boolean} [simulcast]
 * @property {RTCRtpEncodingParameters[]} [encodings]
 */

export class Publisher {
  #request;
  #pc;
  #guard;
  #sequence = new Sequence();
  #closing = new AbortController();
  /** Rejects when this is closed: what browsers promise of a closed connection may never settle. @type {Promise<never>} */
  #closed = new Promise((_, reject) => {
    const gone = () => reject(sdkError("CONNECTION_LOST", "The connection was given up"));
    this.#closing.signal.addEventListener("abort", gone, { once: true });
  });
  /** What is published now. @type {Map<string, {trackId: string, transceiver: RTCRtpTransceiver}>} */
  #slots = new Map();
  /** M-lines of ended publications, used again by the next of their source. @type {Map<string, RTCRtpTransceiver>} */
  #spare = new Map();

  /**
   * @param {(method: string, params?: object, options?: {signal?: AbortSignal}) => Promise<any>} request
   * @param {RTCIceServer[]} iceServers
   * @param {(state: RTCPeerConnectionState) => void} onState
   */
  constructor(request, iceServers, onState) {
    this.#request = (method, params) => request(method, params, { signal: this.#closing.signal });
    this.#closed.catch(() => {});
    this.#pc = makeConnection(iceServers);
    this.#guard = new PathGuard(this.#pc, () => this.restart(), onState);
  }

  /** Of all that is published. */
  get trackIds() {
    return [...this.#slots.values()].map(({ trackId }) => trackId);
  }

  /** @param {string} source */
  trackId(source) {
    return this.#slots.get(source)?.trackId ?? null;
  }

  /** @param {string} source */
  sender(source) {
    return this.#slots.get(source)?.transceiver.sender ?? null;
  }

  /**
   * Publishes all of them with one offer; of a source that is published already only the track is exchanged.
   * @param {Publication[]} publications
   */
  publish(publications) {
    return this.#run(async () => {
      const known = publications.filter(({ source }) => this.#slots.has(source));
      await Promise.all(known.map((each) => this.#exchange(each)));
      const others = publications.filter((each) => !known.includes(each));
      if (others.length) await this.#publishNew(others);
    });
  }

  /** @param {string[]} sources */
  unpublish(sources) {
    return this.#run(async () => {
      await Promise.all(sources.map((source) => this.#detach(source)));
    });
  }

  /**
   * @param {string} source
   * @param {MediaStreamTrack | null} track null sends nothing and lets the device go
   */
  replaceTrack(source, track) {
    return this.#run(async () => {
      await this.#slots.get(source)?.transceiver.sender.replaceTrack(track);
    });
  }

  /**
   * In its turn, so that what is just being published is muted too.
   * @param {string} source
   * @param {boolean} muted
   */
  setMuted(source, muted) {
    return this.#run(async () => {
      const slot = this.#slots.get(source);
      if (slot) await this.#request("mute", { trackId: slot.trackId, muted });
    });
  }

  /** New ICE credentials over the same m-lines. */
  restart() {
    return this.#run(() => this.#negotiate({ iceRestart: true }));
  }

  /** After the signalling came back: a path that died meanwhile is restarted. */
  recover() {
    return this.#run(async () => {
      if (this.#pc.connectionState === "failed" || this.#pc.connectionState === "disconnected") {
        await this.#negotiate({ iceRestart: true });
      }
    });
  }

  close() {
    this.#closing.abort();
    this.#guard.stop();
    this.#pc.close();
  }

  /** One change at a time, and none of a connection that was closed. @param {() => Promise<void>} task */
  #run(task) {
    return this.#sequence.run(() => (this.#closing.signal.aborted ? this.#closed : Promise.race([this.#closed, task()])));
  }

  async #publishNew(publications) {
    // All are announced at once: the answers come back in one round trip.
    const answers = await Promise.allSettled(publications.map((each) => this.#announce(each)));
    const refused = answers.find(({ status }) => status === "rejected");
    if (refused) {
      const told = answers.flatMap(({ value }) => value?.trackId ?? []);
      await Promise.allSettled(told.map((trackId) => this.#request("unpublish", { trackId })));
      throw /** @type {PromiseRejectedResult} */ (refused).reason;
    }
    publications.forEach((each, index) => this.#attach(each, /** @type {any} */ (answers[index]).value.trackId));
    const camera = publications.some(({ source }) => source === "webcam") ? this.sender("webcam") : null;
    if (camera) await prefer(camera, "maintain-resolution");
    try {
      await this.#negotiate();
      if (camera) this.#releaseSize(camera);
    } catch (error) {
      await Promise.allSettled(publications.map(({ source }) => this.#detach(source)));
      throw error;
    }
  }

  /** @param {Publication} publication */
  async #exchange({ source, track, muted = false }) {
    const { trackId, transceiver } = /** @type {any} */ (this.#slots.get(source));
    await transceiver.sender.replaceTrack(track);
    await this.#request("mute", { trackId, muted });
  }

  #announce({ source, track, muted = false, simulcast = false }) {
    const params = { source, kind: track.kind, name: [...track.label].slice(0, 100).join(""), muted, simulcast };
    if (track.kind === "video") {
      const { width, height } = track.getSettings();
      if (width && height) Object.assign(params, { width: Math.round(width), height: Math.round(height) });
    }
    return this.#request("announce", params);
  }

  /** @param {Publication} publication @param {string} trackId */
  #attach({ source, track, encodings }, trackId) {
    let transceiver = this.#spare.get(source);
    if (transceiver) {
      this.#spare.delete(source);
      transceiver.direction = "sendonly";
      transceiver.sender.replaceTrack(track);
    } else {
      transceiver = this.#pc.addTransceiver(track, { direction: "sendonly", sendEncodings: encodings });
    }
    this.#slots.set(source, { trackId, transceiver });
  }

  /** From when packets flow and the estimate is there, the picture shrinks and grows with it. @param {RTCRtpSender} sender */
  #releaseSize(sender) {
    const pc = this.#pc;
    const release = () => {
      if (pc.connectionState !== "connected") return;
      pc.removeEventListener("connectionstatechange", release);
      setTimeout(() => prefer(sender, "balanced"), ESTIMATE_MS);
    };
    pc.addEventListener("connectionstatechange", release);
    release();
  }

  async #detach(source) {
    const slot = this.#slots.get(source);
    if (!slot) return;
    this.#slots.delete(source);
    this.#spare.set(source, slot.transceiver);
    slot.transceiver.direction = "inactive";
    await slot.transceiver.sender.replaceTrack(null);
    await this.#request("unpublish", { trackId: slot.trackId });
  }

  async #negotiate(options = {}) {
    const pc = this.#pc;
    await pc.setLocalDescription(await pc.createOffer(options));
    const tracks = [...this.#slots.values()].map(({ trackId, transceiver }) => ({ mid: transceiver.mid, trackId }));
    try {
      const { sdp } = await this.#request("publish", { sdp: pc.localDescription?.sdp, tracks });
      await pc.setRemoteDescription({ type: "answer", sdp: withStartBitrate(sdp, START_BITRATE) });
    } catch (error) {
      if (pc.signalingState === "have-local-offer") await pc.setLocalDescription({ type: "rollback" });
      throw error;
    }
  }
}

/**
 * A browser that knows no such preference goes without.
 * @param {RTCRtpSender} sender
 * @param {"balanced" | "maintain-resolution"} degradationPreference
 */
async function prefer(sender, degradationPreference) {
  const parameters = /** @type {any} */ (sender.getParameters());
  parameters.degradationPreference = degradationPreference;
  await sender.setParameters(parameters).catch(() => {});
}
