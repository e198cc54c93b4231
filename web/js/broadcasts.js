/** The broadcasts (RTMP out) of the start page: what runs and ran, with the state and bit rate of each target. */

import { icon, make } from "./dom.js";
import { formatClock, formatTime, t } from "./i18n.js";
import { Listing, ask } from "./listing.js";
import { noteRates, outputList } from "./outputs.js";

const ENDED = ["stopped", "failed"];

export class Broadcasts {
  #root;
  #api;
  #listing;
  /** Bit rates since this page looks, by output. @type {Map<string, number[]>} */
  #rates = new Map();

  /** @param {HTMLElement} root @param {import("./api.js").Api} api */
  constructor(root, api) {
    this.#root = root;
    this.#api = api;
  }

  show() {
    const list = make("div", {});
    this.#root.replaceChildren(make("header", { class: "list-head" }, make("h1", { tabindex: "-1" }, t("broadcasts.heading"))), list);
    this.#listing = new Listing(list, this.#api, {
      path: () => "/v2/livestreams",
      draw: (rows) => rows.map((row) => this.#row(row)),
      lives: ({ status }) => !ENDED.includes(status),
    });
    return this.#listing.load();
  }

  hide() {
    this.#listing?.stop();
  }

  #row(row) {
    const runs = !ENDED.includes(row.status);
    if (runs) noteRates(this.#rates, row.outputs);
    const until = row.end ? new Date(row.end) : new Date();
    const facts = [row.start && formatTime(new Date(row.start)), row.start && formatClock((until.getTime() - new Date(row.start).getTime()) / 1000), row.error];
    const recording = row.recordingId ? [make("a", { class: "button small", href: `#recordings/room/${row.recordingId}`, "data-act": "recording" }, icon("record"), t("broadcasts.recording"))] : [];
    const stop = runs ? [make("button", { class: "button small danger", type: "button", "data-act": "stop", click: () => this.#stop(row) }, t("air.live.stop"))] : [];
    return make(
      "li", { class: "row tall", "data-row": row.id },
      make("div", { class: "row-main" },
        make("span", { class: "row-picture" }, icon("live")),
        make("span", {}, make("strong", {}, row.customRoomId ?? row.roomId), make("small", {}, facts.filter(Boolean).join(" · ")))),
      make("span", { class: `chip ${row.status}` }, t(`status.${row.status}`)),
      make("span", { class: "row-actions" }, ...recording, ...stop),
      outputList(row.outputs, runs ? this.#rates : new Map()),
    );
  }

  async #stop({ id, roomId }) {
    if (!(await ask(t("broadcasts.stopSure", { name: roomId }), t("air.live.stop")))) return;
    await this.#api.post("/v2/livestreams/stop", { roomId, id }).catch(() => {}); // it may have ended by itself
    this.#listing.load();
  }
}
