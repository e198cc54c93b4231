/** Where a livestream goes: rows of an address and a stream key, which is never shown again. */

import { byId, icon, make } from "./dom.js";
import { t } from "./i18n.js";

export class Targets {
  #rows = byId("target-rows");
  #made = 0;
  /** Those that `outputs` came from. @type {Element[]} */
  #filled = [];

  constructor() {
    byId("target-add").addEventListener("click", () => this.#add().querySelector("input").focus());
  }

  /** One empty row, and no key of before. */
  reset() {
    this.#rows.replaceChildren();
    this.#add();
  }

  /** @returns {{url: string, streamKey: string}[]} what is filled in */
  get outputs() {
    const values = (row) => [...row.querySelectorAll("input")].map(({ value }) => value.trim());
    this.#filled = [...this.#rows.children].filter((row) => values(row).some(Boolean));
    return this.#filled.map(values).map(([url, streamKey]) => ({ url, streamKey }));
  }

  /** Which field a path of an error is about. @param {string} path as `outputs[1].url` */
  mark(path) {
    const [, index, name] = /^outputs\[(\d+)\]\.?(\w*)/.exec(path) ?? [];
    const row = this.#filled[Number(index)] ?? (index && this.#rows.firstElementChild);
    const field = row?.querySelector(name === "streamKey" ? "[data-key]" : "input");
    field?.setAttribute("aria-invalid", "true");
    field?.focus();
  }

  #add() {
    const number = ++this.#made;
    const field = (name, key, attributes) => [
      make("label", { for: `target-${name}-${number}` }, t(key)),
      make("input", { id: `target-${name}-${number}`, autocomplete: "off", autocapitalize: "off", spellcheck: "false", ...attributes, input: unmark }),
    ];
    const remove = make("button", { class: "icon-button", type: "button", "aria-label": t("live.removeTarget"), title: t("live.removeTarget") }, icon("close"));
    const row = make(
      "div", { class: "target" },
      make("div", {}, ...field("url", "live.url", { inputmode: "url", placeholder: "rtmps://live.example.org/app" })),
      make("div", {}, ...field("key", "live.key", { type: "password", "data-key": "", autocomplete: "new-password" })),
      remove,
    );
    remove.addEventListener("click", () => {
      row.remove();
      if (!this.#rows.children.length) this.#add();
      byId("target-add").focus();
    });
    this.#rows.append(row);
    return row;
  }
}

const unmark = (event) => event.target.removeAttribute("aria-invalid");
