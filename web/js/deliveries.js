/** The log of webhooks of the start page: deliveries by result and hour, and each with its last error and "send again". */

import { icon, make } from "./dom.js";
import { byHour } from "./hours.js";
import { formatHour, formatTime, t, tn } from "./i18n.js";
import { Listing } from "./listing.js";
import { stackedBars } from "./plots.js";
import { errorLine } from "./problems.js";

const STATES = ["delivered", "waiting", "dead"];
const HOURS = 24;
const PER_PAGE = 100;
const MOST_PAGES = 5; // of the plot: the latest 500

export class Deliveries {
  #root;
  #api;
  #state = "";
  #listing;
  #plot = make("div", { class: "plot" });
  /** Those that are unfolded. @type {Map<string, any>} */
  #open = new Map();

  /** @param {HTMLElement} root @param {import("./api.js").Api} api */
  constructor(root, api) {
    this.#root = root;
    this.#api = api;
  }

  show() {
    const list = make("div", {});
    this.#root.replaceChildren(make("header", { class: "list-head" }, make("h1", { tabindex: "-1" }, t("webhooks.heading")), this.#filter()), this.#plot, list);
    this.#listing = new Listing(list, this.#api, {
      path: () => `/v2/webhooks/deliveries${this.#state ? `?state=${this.#state}` : ""}`,
      draw: (rows) => rows.map((row) => this.#row(row)),
      lives: ({ state }) => state === "waiting",
    });
    this.#drawPlot();
    return this.#listing.load();
  }

  hide() {
    this.#listing?.stop();
  }

  #filter() {
    const options = ["", ...STATES].map((state) => make("option", { value: state, selected: state === this.#state }, t(state ? `delivery.${state}` : "delivery.all")));
    const change = (event) => {
      this.#state = event.target.value;
      this.#listing.restart();
    };
    return make("select", { "aria-label": t("delivery.state"), change }, ...options);
  }

  async #drawPlot() {
    const since = Date.now() - HOURS * 3600_000;
    const rows = [];
    try {
      for (let page = 1; page <= MOST_PAGES; page++) {
        const { data, pageInfo } = await this.#api.get(`/v2/webhooks/deliveries?page=${page}&perPage=${PER_PAGE}`);
        rows.push(...data);
        if (page >= pageInfo.lastPage || new Date(data.at(-1).createdAt).getTime() < since) break;
      }
    } catch {
      return; // the list says what is wrong
    }
    const columns = byHour(rows, Date.now(), HOURS).map(({ at, parts }) => ({ label: formatHour(new Date(at)), parts }));
    const sum = (state) => columns.reduce((all, { parts }) => all + (parts[state] ?? 0), 0);
    const words = STATES.map((state) => `${t(`delivery.${state}`)}: ${sum(state)}`);
    const keys = STATES.map((state) => make("span", { class: `key key-${state}` }, `${t(`delivery.${state}`)} ${sum(state)}`));
    this.#plot.replaceChildren(
      make("p", { class: "plot-head" }, t("webhooks.byHour"), ...keys),
      stackedBars(columns, STATES, { label: `${t("webhooks.byHour")}. ${words.join(", ")}` }),
    );
  }

  #row(row) {
    const { lastAttempt: last } = row;
    const trouble = row.state === "delivered" ? "" : (row.reason ?? last?.error ?? "");
    const next = row.nextAttemptAt && new Date(row.nextAttemptAt).getTime() > Date.now() ? t("webhooks.next", { time: formatTime(new Date(row.nextAttemptAt)) }) : "";
    const facts = [formatTime(new Date(row.createdAt)), tn("webhooks.attempts", row.attemptCount), next].filter(Boolean);
    const again = make("button", { class: "button small", type: "button", "data-act": "again", click: (event) => this.#again(row, event.currentTarget) }, icon("again"), t("webhooks.again"));
    const open = this.#open.has(row.id);
    const unfold = make("button", { class: "button quiet small", type: "button", "data-act": "unfold", "aria-expanded": String(open), click: () => this.#unfold(row) }, t("webhooks.details"));
    return make(
      "li", { class: "row tall", "data-row": row.id },
      make("div", { class: "row-main" }, make("span", {}, make("strong", {}, row.webhookType), make("small", {}, row.endPoint), make("small", {}, facts.join(" · ")))),
      make("span", { class: `chip ${row.state}` }, t(`delivery.${row.state}`)),
      make("span", { class: "row-actions" }, unfold, again),
      ...(trouble ? [make("p", { class: "output-error" }, trouble)] : []),
      ...(open ? [details(this.#open.get(row.id))] : []),
    );
  }

  async #unfold({ id }) {
    if (!this.#open.delete(id)) this.#open.set(id, await this.#api.get(`/v2/webhooks/deliveries/${id}`).catch(() => ({ attempts: [], data: null })));
    await this.#listing.load();
  }

  async #again({ id }, button) {
    button.disabled = true;
    try {
      await this.#api.post(`/v2/webhooks/deliveries/${id}/send-again`);
      this.#open.delete(id);
    } catch (error) {
      button.closest("li")?.append(make("p", { class: "output-error", role: "alert" }, errorLine(error) ?? error.message));
      return;
    }
    await this.#listing.load();
  }
}

function details({ attempts, data }) {
  const lines = attempts.map(({ at, durationMs, status, error }) =>
    make("li", {}, `${formatTime(new Date(at))} · ${durationMs} ms · ${error ?? `HTTP ${status}`}`),
  );
  return make("div", { class: "details" }, make("ol", {}, ...lines), make("pre", { tabindex: "0" }, JSON.stringify(data, null, 2)));
}
