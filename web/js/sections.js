/** The parts of the start page, by the address's fragment: meetings, recordings, broadcasts, the log of webhooks. */

import { Api } from "./api.js";
import { Broadcasts } from "./broadcasts.js";
import { projectToken } from "./console.js";
import { Deliveries } from "./deliveries.js";
import { byId } from "./dom.js";
import { t } from "./i18n.js";
import { Recordings } from "./recordings.js";

const NAMES = ["meet", "recordings", "broadcasts", "webhooks"];

export class Sections {
  #shown = null;
  #parts;
  #api;

  constructor() {
    const api = this.#api = new Api(async () => (await projectToken()).token);
    this.#parts = {
      recordings: new Recordings(byId("section-recordings"), api),
      broadcasts: new Broadcasts(byId("section-broadcasts"), api),
      webhooks: new Deliveries(byId("section-webhooks"), api),
    };
    globalThis.addEventListener("hashchange", () => this.#follow(true));
  }

  /** @param {boolean} open false: signed out, only the way in is there */
  allow(open) {
    byId("sections").hidden = !open;
    if (open) this.#follow(false);
    else {
      this.#api.forget();
      this.#show("meet");
    }
  }

  #follow(move) {
    const [name, ...rest] = location.hash.slice(1).split("/");
    if (byId("sections").hidden) return;
    this.#show(NAMES.includes(name) ? name : "meet", rest.join("/"), move);
  }

  async #show(name, rest = "", move = false) {
    this.#parts[this.#shown]?.hide();
    this.#shown = name;
    for (const each of NAMES) byId(`section-${each}`).hidden = each !== name;
    for (const link of byId("sections").querySelectorAll("a")) {
      if (link.hash === `#${name}`) {
        link.setAttribute("aria-current", "page");
        link.scrollIntoView({ block: "nearest", inline: "nearest" }); // on a phone the row may be wider than the window
      } else link.removeAttribute("aria-current");
    }
    document.title = name === "meet" ? t("start.title") : t("console.title", { section: t(`console.${name}`) });
    await this.#parts[name]?.show(rest || undefined);
    if (move && this.#shown === name) byId(`section-${name}`).querySelector("h1")?.focus();
  }
}
