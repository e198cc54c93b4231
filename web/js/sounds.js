/** What is heard: one hidden element for each remote sound, all on the chosen speaker. */

import { make } from "./dom.js";

export class Sounds {
  #box;
  #onBlocked;
  /** @type {Map<string, HTMLAudioElement>} */
  #elements = new Map();
  #speaker = "";
  /** Those that wait for a click. @type {Set<HTMLAudioElement>} */
  #blocked = new Set();

  /**
   * @param {HTMLElement} box
   * @param {(blocked: boolean) => void} onBlocked the browser wants a click before it plays
   */
  constructor(box, onBlocked) {
    this.#box = box;
    this.#onBlocked = onBlocked;
  }

  /** @param {Iterable<any>} participants the others */
  update(participants) {
    const wanted = new Map();
    for (const participant of participants) {
      for (const stream of participant.streams.values()) {
        if (stream.kind === "audio" || stream.kind === "shareAudio") wanted.set(stream.id, stream.track);
      }
    }
    for (const [id, element] of this.#elements) {
      if (element.srcObject?.getTracks()[0] === wanted.get(id)) continue;
      element.srcObject = null;
      element.remove();
      this.#elements.delete(id);
      this.#setBlocked(element, false);
    }
    for (const [id, track] of wanted) if (!this.#elements.has(id)) this.#add(id, track);
  }

  /** @param {string} deviceId "" is the system's */
  async setSpeaker(deviceId) {
    this.#speaker = deviceId;
    await Promise.all([...this.#elements.values()].map((element) => element.setSinkId?.(deviceId)));
  }

  /** To be called from a click. */
  async play() {
    await Promise.all([...this.#elements.values()].map((element) => this.#play(element)));
  }

  #add(id, track) {
    const element = make("audio", { autoplay: true });
    element.srcObject = new MediaStream([track]);
    this.#elements.set(id, element);
    this.#box.append(element);
    if (this.#speaker) element.setSinkId?.(this.#speaker).catch(() => {}); // a speaker that is gone: the system's plays
    this.#play(element);
  }

  async #play(element) {
    try {
      await element.play();
      this.#setBlocked(element, false);
    } catch (error) {
      if (error.name === "NotAllowedError" && element.isConnected) this.#setBlocked(element, true);
    }
  }

  #setBlocked(element, blocked) {
    blocked ? this.#blocked.add(element) : this.#blocked.delete(element);
    this.#onBlocked(this.#blocked.size > 0);
  }
}
