/** Before the meeting: look at oneself, choose devices and a name. */

import { VideoSDK } from "/sdk/tidegate.js";
import { micConstraints, openDevices, webcamConstraints } from "/sdk/devices.js";
import { fillMenus } from "./device-menus.js";
import { byId, icon, make, showOnly } from "./dom.js";
import { t } from "./i18n.js";
import { prefer, preferences } from "./memory.js";
import { watchLevel } from "./meter.js";
import { deviceWords } from "./problems.js";

const WITHOUT_MS = 3000; // after it one may join without the devices that are still being opened
const DEVICE = { audio: "microphone", video: "camera" };

/**
 * @typedef {object} Choices
 * @property {string} name
 * @property {MediaStreamTrack | null} mic
 * @property {MediaStreamTrack | null} cam
 * @property {string} [camera] device id
 * @property {string} [microphone]
 * @property {string} [speaker]
 */

export class Prejoin {
  /** @type {{audio: MediaStreamTrack | null, video: MediaStreamTrack | null}} */
  #tracks = { audio: null, video: null };
  #problems = new Map();
  #stopMeter = () => {};
  /** Settles when no device is being opened. */
  #opening = Promise.resolve();
  /** What is being opened. @type {Set<string>} */
  #awaited = new Set();
  #finished = false;

  /** @param {string} roomId @param {string | null} [name] that the invitation gave */
  constructor(roomId, name) {
    byId("pre-room").textContent = t("pre.room", { room: roomId });
    byId("name").value = name ?? preferences().name ?? "";
    byId("pre-mic").addEventListener("click", () => this.#toggle("audio"));
    byId("pre-cam").addEventListener("click", () => this.#toggle("video"));
    byId("pre-microphone").addEventListener("change", (event) => this.#choose("audio", event.target.value));
    byId("pre-camera").addEventListener("change", (event) => this.#choose("video", event.target.value));
    byId("pre-speaker").addEventListener("change", (event) => prefer({ speaker: event.target.value }));
    VideoSDK.on("device-changed", this.#refill);
  }

  /** Shows the page until somebody presses "join". @returns {Promise<Choices>} */
  async run() {
    showOnly("prejoin");
    this.#render();
    byId("pre-heading").focus({ preventScroll: true });
    const { micOn = true, camOn = true } = preferences();
    this.#refill();
    this.#open([micOn && "audio", camOn && "video"].filter(Boolean));
    let press = () => {};
    const pressed = () => new Promise((resolve) => (press = () => resolve(undefined)));
    byId("pre-form").addEventListener("submit", (event) => {
      event.preventDefault();
      press();
    });
    await pressed();
    this.setBusy(true);
    // Who is quicker than the devices still enters with them; a question that nobody answers keeps nobody out.
    const offer = setTimeout(() => {
      byId("join").disabled = false;
      byId("join").textContent = t("pre.joinWithout");
    }, WITHOUT_MS);
    await Promise.race([this.#opened(), pressed()]);
    clearTimeout(offer);
    this.setBusy(true);
    return this.#finish();
  }

  async #opened() {
    let opening;
    do await (opening = this.#opening);
    while (opening !== this.#opening);
  }

  /** @param {boolean} busy */
  setBusy(busy) {
    byId("join").disabled = busy;
    byId("join").textContent = t(busy ? "pre.joining" : "pre.join");
  }

  #finish() {
    this.#finished = true;
    VideoSDK.off("device-changed", this.#refill);
    this.#stopMeter();
    byId("preview").srcObject = null;
    const name = byId("name").value.trim() || t("pre.guest");
    const { camera, microphone, speaker } = preferences();
    prefer({ name: byId("name").value.trim() });
    // A device that failed today, or did not come in time, is wanted next time all the same.
    const unsure = (kind) => this.#problems.has(kind) || this.#awaited.has(kind);
    if (!unsure("audio")) prefer({ micOn: Boolean(this.#tracks.audio) });
    if (!unsure("video")) prefer({ camOn: Boolean(this.#tracks.video) });
    return { name, mic: this.#tracks.audio, cam: this.#tracks.video, camera, microphone, speaker };
  }

  #refill = () => {
    const { camera, microphone, speaker } = preferences();
    fillMenus(byId("pre-form"), {
      audioinput: this.#tracks.audio?.getSettings().deviceId ?? microphone,
      videoinput: this.#tracks.video?.getSettings().deviceId ?? camera,
      audiooutput: speaker,
    });
  };

  #constraints(kind) {
    const { camera, microphone } = preferences();
    const deviceId = kind === "audio" ? microphone : camera;
    // A wish, not a demand: the device of last time may be in another bag today.
    const wish = deviceId ? { ideal: deviceId } : undefined;
    return kind === "audio" ? micConstraints(wish) : webcamConstraints(wish);
  }

  /** One prompt after the other. @param {("audio"|"video")[]} kinds */
  #open(kinds) {
    this.#opening = this.#opening.then(() => this.#finished || this.#openNow(kinds));
    return this.#opening;
  }

  async #openNow(kinds) {
    if (kinds.length) {
      for (const kind of kinds) {
        this.#problems.delete(kind);
        this.#awaited.add(kind);
      }
      try {
        const stream = await openDevices(Object.fromEntries(kinds.map((kind) => [kind, this.#constraints(kind)])));
        for (const track of stream.getTracks()) this.#take(track);
      } catch (error) {
        if (kinds.length > 1) for (const kind of kinds) await this.#openNow([kind]);
        else this.#problems.set(kinds[0], error);
      }
    }
    for (const kind of kinds) this.#awaited.delete(kind);
    if (this.#finished) return;
    this.#render();
    this.#refill();
  }

  #take(track) {
    if (this.#finished) {
      track.stop(); // it was allowed when nobody waited any more
      return;
    }
    this.#tracks[track.kind]?.stop();
    this.#tracks[track.kind] = track;
    track.onended = () => {
      if (this.#tracks[track.kind] !== track) return;
      this.#tracks[track.kind] = null;
      this.#problems.set(track.kind, { name: "DEVICE_LOST" });
      this.#render();
    };
  }

  async #toggle(kind) {
    if (this.#finished) return;
    const track = this.#tracks[kind];
    if (!track) {
      await this.#open([kind]);
      return;
    }
    this.#tracks[kind] = null;
    track.stop();
    this.#render();
  }

  async #choose(kind, deviceId) {
    prefer({ [DEVICE[kind]]: deviceId });
    if (!this.#tracks[kind]) return;
    this.#tracks[kind].stop(); // many phones open one camera at a time
    this.#tracks[kind] = null;
    await this.#open([kind]);
  }

  #render() {
    const { audio, video } = this.#tracks;
    const preview = byId("preview");
    if (preview.srcObject?.getVideoTracks()[0] !== video) preview.srcObject = video && new MediaStream([video]);
    byId("preview-off").hidden = Boolean(video);
    this.#button("pre-mic", "mic", Boolean(audio));
    this.#button("pre-cam", "cam", Boolean(video));
    this.#stopMeter();
    this.#stopMeter = audio ? watchLevel(audio, showLevel) : () => {};
    byId("pre-problems").replaceChildren(
      ...[...this.#problems].map(([kind, error]) =>
        make("div", { class: "pre-problem" }, icon("warn"), make("p", {}, deviceWords(error, DEVICE[kind])),
          make("button", { class: "button small", type: "button", click: () => this.#open([kind]) }, t("pre.retry"))),
      ),
    );
  }

  #button(id, name, on) {
    const button = byId(id);
    button.classList.toggle("off", !on);
    button.setAttribute("aria-label", t(`call.${name}.${on ? "off" : "on"}`));
    button.title = t(`call.${name}.${on ? "off" : "on"}`);
    button.replaceChildren(icon(on ? name : `${name}Off`));
  }
}

function showLevel(level) {
  byId("level").setAttribute("aria-valuenow", String(Math.round(level * 100)));
  byId("level").firstElementChild.style.transform = `scaleX(${level.toFixed(3)})`;
}
