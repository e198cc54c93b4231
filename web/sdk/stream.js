/** One running medium of one participant, as an application sees it. */

import { Emitter } from "./emitter.js";

/** What the reference calls the sources of docs/signalling.md. */
export const KIND_OF_SOURCE = Object.freeze({
  mic: "audio",
  webcam: "video",
  screen: "share",
  screenAudio: "shareAudio",
});

/**
 * Event: `state` ("running" | "paused").
 */
export class Stream extends Emitter {
  #pause;
  #receiver;

  /**
   * @param {object} parts
   * @param {string} parts.id the track's id at the server
   * @param {string} parts.source
   * @param {MediaStreamTrack} parts.track
   * @param {string} [parts.codec]
   * @param {RTCRtpReceiver} [parts.receiver]
   * @param {(paused: boolean) => Promise<void>} parts.pause
   * @param {boolean} [parts.paused] as the stream in whose place it comes
   */
  constructor({ id, source, track, codec, receiver, pause, paused = false }) {
    super();
    /** @type {string} */
    this.id = id;
    /** @type {"audio"|"video"|"share"|"shareAudio"} */
    this.kind = KIND_OF_SOURCE[source];
    /** @type {MediaStreamTrack} */
    this.track = track;
    /** @type {string | undefined} */
    this.codec = codec;
    this.paused = paused;
    this.#pause = pause;
    this.#receiver = receiver;
  }

  /** "monitor", "window" or "browser" for a local screen share. */
  get displaySurface() {
    return /** @type {any} */ (this.track.getSettings?.())?.displaySurface;
  }

  /** Loudness now, 0 to 1, of a remote audio stream; 0 where the sender does not tell it. (An addition of Tidegate.) */
  get audioLevel() {
    return this.#receiver?.getSynchronizationSources?.()[0]?.audioLevel ?? 0;
  }

  /** A remote stream is held back at the server; nothing is renegotiated. A local one is only not sent. */
  async pause() {
    await this.#setPaused(true);
  }

  async resume() {
    await this.#setPaused(false);
  }

  async #setPaused(paused) {
    if (paused === this.paused) return;
    await this.#pause(paused);
    this.paused = paused;
    this.emit("state", paused ? "paused" : "running");
  }
}
