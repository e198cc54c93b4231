/** What the lists of the start page share: pages of rows, asked for again while something runs. */

import { byId, make } from "./dom.js";
import { t, tn } from "./i18n.js";
import { errorLine } from "./problems.js";

const POLL_MS = 3000;
const PER_PAGE = 20;

/** A list of the API below `root`; `path` gives what to ask, `draw` the rows. */
export class Listing {
  #root;
  #api;
  #path;
  #draw;
  #lives;
  #page = 1;
  #asked = 0;
  #timer;

  /**
   * @param {HTMLElement} root
   * @param {import("./api.js").Api} api
   * @param {{path: () => string, draw: (rows: any[]) => Node[], lives: (row: any) => boolean}} options
   */
  constructor(root, api, { path, draw, lives }) {
    this.#root = root;
    this.#api = api;
    this.#path = path;
    this.#draw = draw;
    this.#lives = lives;
  }

  /** From the first page: what is asked for is another. */
  restart() {
    this.#page = 1;
    return this.load();
  }

  async load() {
    clearTimeout(this.#timer);
    const asked = ++this.#asked;
    const path = this.#path();
    let answer;
    try {
      answer = await this.#api.get(`${path}${path.includes("?") ? "&" : "?"}page=${this.#page}&perPage=${PER_PAGE}`);
    } catch (error) {
      if (asked === this.#asked) this.#fail(error);
      return;
    }
    if (asked !== this.#asked) return; // asked for something else meanwhile
    this.#show(answer);
    if (answer.data.some(this.#lives)) this.#wait();
  }

  /** Nobody looks any more. */
  stop() {
    this.#asked++;
    clearTimeout(this.#timer);
  }

  /** A tab that nobody sees asks nothing. */
  #wait() {
    this.#timer = setTimeout(() => (document.hidden ? this.#wait() : this.load()), POLL_MS);
  }

  #show({ data, pageInfo }) {
    const focused = document.activeElement?.closest("[data-row]")?.getAttribute("data-row");
    const act = /** @type {any} */ (document.activeElement)?.dataset?.act;
    const { currentPage, lastPage, total } = pageInfo;
    const turn = (key, page) => make("button", { class: "button small", type: "button", disabled: page < 1 || page > lastPage, click: () => this.#turn(page) }, t(key));
    const pages = lastPage > 1 ? [make("p", { class: "pages" }, turn("list.newer", currentPage - 1), turn("list.older", currentPage + 1), make("span", {}, tn("list.total", total)))] : [];
    const empty = data.length ? [] : [make("p", { class: "empty" }, t("list.empty"))];
    this.#root.replaceChildren(...empty, make("ul", { class: "rows" }, ...this.#draw(data)), ...pages);
    if (focused && act) this.#root.querySelector(`[data-row="${CSS.escape(focused)}"] [data-act="${act}"]`)?.focus();
  }

  #turn(page) {
    this.#page = page;
    this.load().then(() => this.#root.querySelector("a, button")?.focus());
  }

  #fail(error) {
    this.#root.replaceChildren(make("p", { class: "problem-line", role: "alert" }, errorLine(error) ?? error.message));
  }
}

/** A question before what cannot be undone. @param {string} question @param {string} yes @returns {Promise<boolean>} */
export function ask(question, yes) {
  const dialog = byId("asking");
  byId("asking-heading").textContent = question;
  byId("asking-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}
