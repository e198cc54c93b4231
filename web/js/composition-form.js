/** The part of the dialog that says how a recording or livestream looks: layout, theme, size, with drawings of each. */

import { byId, make } from "./dom.js";
import { t } from "./i18n.js";
import { sketch } from "./sketch.js";

const NAMED = ["GRID", "SPOTLIGHT", "SIDEBAR"];
const FIXED = ["orientation", "quality"]; // while it runs
const FIELDS = ["priority", "theme", ...FIXED];
const OWN_EXAMPLE = {
  boxes: [
    { x: 0, y: 0, width: 1, height: 1, show: { speaker: 0 } },
    { x: 0.72, y: 0.68, width: 0.26, height: 0.28, z: 1, cornerRadius: 0.1, show: { person: 0 } },
  ],
};

export class CompositionForm {
  #cards = byId("layout-cards");
  #own = byId("own-layout");
  #json = byId("own-json");
  /** @type {() => {cast: import("./arrange.js").Cast, nameOf: (id: string) => string}} */
  #people;

  /** @param {() => {cast: import("./arrange.js").Cast, nameOf: (id: string) => string}} people who would be seen now */
  constructor(people) {
    this.#people = people;
    this.#json.value = JSON.stringify(OWN_EXAMPLE, null, 2);
    this.#cards.replaceChildren(...[...NAMED, "CUSTOM"].map((type) => this.#card(type)));
    this.#cards.addEventListener("change", () => this.draw());
    this.#json.addEventListener("input", () => this.draw());
    this.#own.addEventListener("toggle", () => {
      if (this.#own.open) this.#choose("CUSTOM");
      else if (this.type === "CUSTOM") this.#choose("GRID");
      this.draw();
    });
    for (const name of FIELDS) byId(`composing-${name}`).addEventListener("change", () => this.draw());
  }

  get type() {
    return this.#cards.querySelector("input:checked")?.value ?? "GRID";
  }

  /** @param {any} config of what runs, or of last time @param {boolean} runs */
  show(config, runs) {
    const { layout = {}, theme = "DARK", orientation = "landscape", quality = "med" } = config ?? {};
    const values = { priority: layout.priority ?? "SPEAKER", theme: theme === "LIGHT" ? "LIGHT" : "DARK", orientation, quality };
    for (const name of FIELDS) byId(`composing-${name}`).value = values[name];
    for (const name of FIXED) byId(`composing-${name}`).disabled = runs;
    if (layout.boxes) this.#json.value = JSON.stringify(layout, null, 2);
    this.#choose(layout.boxes ? "CUSTOM" : NAMED.includes(layout.type) ? layout.type : "GRID");
    this.draw();
  }

  /** What is chosen. @param {boolean} runs @returns {any} @throws {SyntaxError} of the JSON */
  read(runs) {
    const value = (name) => byId(`composing-${name}`).value;
    const priority = value("priority");
    const layout = this.type === "CUSTOM" ? { ...JSON.parse(this.#json.value), priority } : { type: this.type, priority };
    const config = { layout, theme: value("theme") };
    return runs ? config : { ...config, orientation: value("orientation"), quality: value("quality") };
  }

  draw() {
    const { cast, nameOf } = this.#people();
    const look = { theme: byId("composing-theme").value, orientation: byId("composing-orientation").value };
    const priority = byId("composing-priority").value;
    this.#own.open = this.type === "CUSTOM";
    for (const card of this.#cards.children) {
      const { value } = card.querySelector("input");
      const layout = value === "CUSTOM" ? OWN_EXAMPLE : { type: value, priority };
      card.querySelector(".sketch").replaceWith(sketch({ ...look, layout }, cast, nameOf));
    }
    const label = t("compose.preview", { layout: t(`compose.layout.${this.type}`) });
    byId("composing-preview").replaceChildren(this.#large(look, cast, nameOf, label));
  }

  #large(look, cast, nameOf, label) {
    try {
      return sketch({ ...look, layout: this.read(true).layout }, cast, nameOf, label);
    } catch {
      return make("p", { class: "no-preview" }, t("compose.noPreview")); // somebody is in the middle of typing it
    }
  }

  #choose(type) {
    this.#cards.querySelector(`input[value="${type}"]`).checked = true;
  }

  #card(type) {
    const input = make("input", { type: "radio", name: "layout", value: type, class: "hidden-label" });
    return make("label", { class: "layout-card" }, input, make("span", { class: "sketch" }), make("span", {}, t(`compose.layout.${type}`)));
  }
}
