/** One rectangle of the stage: somebody's camera or screen. */

import { faceOf } from "./codes.js";
import { icon, make } from "./dom.js";
import { t } from "./i18n.js";

/** @param {{local: boolean, displayName: string, id: string}} participant */
export function nameOf(participant) {
  return participant.displayName || (participant.local ? t("call.you") : t("pre.guest"));
}

/** @param {HTMLElement} element @param {import("./tiles.js").Rect} rect */
export function putAt({ style }, rect) {
  style.transform = `translate(${Math.round(rect.x)}px, ${Math.round(rect.y)}px)`;
  style.width = `${Math.round(rect.width)}px`;
  style.height = `${Math.round(rect.height)}px`;
}

export class Tile {
  #video = make("video", { playsinline: true, muted: true, autoplay: true });
  #initials = make("span", { class: "initials", "aria-hidden": "true" });
  #face = make("div", { class: "face" }, this.#initials);
  #name = make("span", { class: "label-name" });
  #status = make("span", {});
  #enlarge;
  #pin;

  /**
   * @param {any} participant
   * @param {"video"|"share"} kind
   * @param {() => void} onEnlarge
   * @param {() => void} onPin
   */
  constructor(participant, kind, onEnlarge, onPin) {
    this.participant = participant;
    this.kind = kind;
    this.#enlarge = make("button", { class: "enlarge", type: "button", "aria-pressed": "false", click: onEnlarge }, icon("enlarge"));
    this.#pin = make("button", { class: "pin", type: "button", "aria-pressed": "false", hidden: true, click: onPin }, icon("pin"));
    this.#video.muted = true; // sounds have elements of their own
    this.element = make(
      "article",
      { class: `tile ${kind === "share" ? "share" : ""}`, "data-participant": participant.id, "data-kind": kind },
      this.#face, this.#video, make("div", { class: "label" }, this.#status, this.#name),
      make("div", { class: "tools" }, this.#pin, this.#enlarge),
    );
    this.element.classList.toggle("local", participant.local);
    this.element.classList.toggle("mirrored", participant.local && kind === "video");
  }

  get pinned() {
    return this.participant.pinState[this.kind === "share" ? "share" : "cam"];
  }

  /** Makes the tile show what is. @param {{enlarged: boolean, away: boolean, isSpeaker: boolean, canPin: boolean}} state */
  update({ enlarged, away, isSpeaker, canPin }) {
    const { participant, kind } = this;
    const stream = participant.streamOf(kind);
    const track = stream?.track ?? null;
    if ((this.#video.srcObject?.getTracks()[0] ?? null) !== track) {
      this.#video.srcObject = track && new MediaStream([track]);
      this.#play();
    }
    this.#video.hidden = !track;
    this.#face.hidden = Boolean(track);
    const name = nameOf(participant);
    const { initials, hue } = faceOf(name);
    this.#initials.textContent = initials;
    this.element.style.setProperty("--hue", String(hue));
    const shown = kind === "share" ? this.#screenName(name) : participant.local ? t("call.youName", { name }) : name;
    this.#name.textContent = shown;
    const silent = kind === "video" && !participant.micOn;
    const { pinned } = this;
    this.#status.replaceChildren(...(silent ? [icon("micOff")] : []), ...(pinned ? [icon("pin")] : []), ...(isSpeaker ? [icon("sound")] : []));
    this.element.classList.toggle("away", away);
    this.element.classList.toggle("active-speaker", isSpeaker);
    this.#pin.hidden = !canPin;
    this.#pin.setAttribute("aria-pressed", String(pinned));
    this.#pin.title = t(pinned ? "call.unpin" : "call.pin", { name: shown });
    this.#pin.setAttribute("aria-label", this.#pin.title);
    this.element.setAttribute("aria-label", this.#description(shown, silent, Boolean(track), away));
    this.#enlarge.setAttribute("aria-pressed", String(enlarged));
    this.#enlarge.setAttribute("aria-label", t(enlarged ? "call.shrink" : "call.enlarge", { name: shown }));
    this.#enlarge.title = t(enlarged ? "call.shrink" : "call.enlarge", { name: shown });
  }

  /** @param {boolean} speaking */
  setSpeaking(speaking) {
    this.element.classList.toggle("speaking", speaking);
  }

  /** @param {import("./tiles.js").Rect | null | undefined} rect none: no place */
  place(rect) {
    const appears = this.element.hidden && rect;
    this.element.hidden = !rect;
    if (!rect) return;
    if (appears) this.#play();
    putAt(this.element, rect);
  }

  remove() {
    this.#video.srcObject = null;
    this.element.remove();
  }

  /** Browsers pause a silent video that cannot be seen, and some do not start it again by themselves. */
  #play() {
    if (this.#video.srcObject) this.#video.play().catch(() => {}); // a newer picture took its place
  }

  #screenName(name) {
    return this.participant.local ? t("call.yourScreen") : t("call.screenOf", { name });
  }

  #description(shown, silent, seen, away) {
    const parts = [shown];
    if (silent) parts.push(t("call.micIsOff"));
    if (this.kind === "video" && !seen) parts.push(t("call.camIsOff"));
    if (this.pinned) parts.push(t("call.pinned"));
    if (away) parts.push(t("call.disconnected"));
    return parts.join(", ");
  }
}
