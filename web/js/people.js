/** The list of people, and what a moderator may do to them. */

import { faceOf } from "./codes.js";
import { byId, icon, make } from "./dom.js";
import { t } from "./i18n.js";
import { nameOf } from "./tile.js";

export class People {
  #meeting;
  #onError;
  #removing = null;

  /** @param {any} meeting @param {(error: any) => void} onError */
  constructor(meeting, onError) {
    this.#meeting = meeting;
    this.#onError = onError;
    byId("people-close").addEventListener("click", () => this.toggle(false));
    byId("people-button").addEventListener("click", () => this.toggle());
    byId("people").addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.toggle(false);
    });
    byId("remove-now").addEventListener("click", () => {
      byId("removing").close();
      this.#removing?.remove().catch(this.#onError);
    });
  }

  /** @param {boolean} [open] */
  toggle(open = byId("people").hidden) {
    byId("people").hidden = !open;
    byId("people-button").setAttribute("aria-expanded", String(open));
    // The focus goes where the eye goes, and comes back.
    byId(open ? "people-close" : "people-button").focus();
  }

  update() {
    const everybody = [this.#meeting.localParticipant, ...this.#meeting.participants.values()];
    const focused = /** @type {any} */ (document.activeElement)?.dataset?.act;
    const whose = document.activeElement?.closest(".person")?.getAttribute("data-participant");
    byId("people-list").replaceChildren(...everybody.map((participant) => this.#row(participant)));
    if (!focused) return;
    // The list is made anew at each change; whoever was on a button of it stays there, or near it where that is gone.
    const row = byId("people-list").querySelector(`[data-participant="${CSS.escape(whose)}"]`);
    const near = row?.querySelector(`[data-act="${focused}"]`) ?? row?.querySelector("button") ?? byId("people-close");
    near.focus();
  }

  #row(participant) {
    const name = nameOf(participant);
    const { initials, hue } = faceOf(name);
    const dot = make("span", { class: "dot", "aria-hidden": "true" }, initials);
    dot.style.setProperty("--hue", String(hue));
    const status = [
      participant.micOn ? [] : [icon("micOff"), make("span", { class: "hidden-label" }, t("call.micIsOff"))],
      participant.webcamOn ? [] : [icon("camOff"), make("span", { class: "hidden-label" }, t("call.camIsOff"))],
    ].flat();
    return make(
      "li", { class: "person", "data-participant": participant.id },
      dot,
      make("span", { class: "person-name" }, participant.local ? t("call.youName", { name }) : name),
      ...(this.#moderates(participant) ? this.#actions(participant, name) : [make("span", { class: "status" }, ...status)]),
    );
  }

  #moderates(participant) {
    return !participant.local && this.#meeting.grants.moderate;
  }

  #actions(participant, name) {
    const act = (key, picture, run) =>
      make("button", {
        class: "icon-button", type: "button", "aria-label": t(key, { name }), title: t(key, { name }),
        "data-act": picture.replace("Off", ""), click: () => run()?.catch(this.#onError),
      }, icon(picture));
    const askOrMute = participant.micOn
      ? act("people.mute", "mic", () => participant.disableMic())
      : act("people.askMic", "micOff", () => participant.enableMic());
    const camera = participant.webcamOn ? [act("people.camOff", "cam", () => participant.disableWebcam())] : [make("span", { class: "status-icon" }, icon("camOff"))];
    return [askOrMute, ...camera, act("people.remove", "remove", () => this.#ask(participant, name))];
  }

  #ask(participant, name) {
    this.#removing = participant;
    byId("removing-heading").textContent = t("people.removeSure", { name });
    byId("removing").showModal();
  }
}
