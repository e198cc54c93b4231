/** The recordings of the start page: the list, and one of them with its player and timeline. */

import { icon, make } from "./dom.js";
import { formatClock, formatSize, formatTime, t } from "./i18n.js";
import { Lanes } from "./lanes.js";
import { Listing, ask } from "./listing.js";
import { errorLine } from "./problems.js";
import { readTimeline } from "./timeline.js";

const ENDED = ["stopped", "failed"];
const POLL_MS = 3000;
const PATHS = { room: "/v2/recordings", composite: "/v2/recordings/composite", participant: "/v2/recordings/participant", track: "/v2/recordings/participant/track" };

/** The link as one of this page's own origin, whatever name the server goes by. @param {string} url @param {string} [more] */
const local = (url, more = "") => {
  const { pathname, search } = new URL(url);
  return pathname + search + more;
};

export class Recordings {
  #root;
  #api;
  #kind = "room";
  #listing;
  #shown = 0;

  /** @param {HTMLElement} root @param {import("./api.js").Api} api */
  constructor(root, api) {
    this.#root = root;
    this.#api = api;
  }

  /** @param {string} [which] `kind/id` of one; without it all */
  show(which) {
    this.hide();
    const [kind, id] = which?.split("/") ?? [];
    if (id && kind in PATHS) return this.#one(kind, id);
    const list = make("div", {});
    this.#root.replaceChildren(make("header", { class: "list-head" }, make("h1", { tabindex: "-1" }, t("recordings.heading")), this.#filter()), list);
    this.#listing = new Listing(list, this.#api, {
      path: () => PATHS[this.#kind],
      draw: (rows) => rows.map((row) => this.#row(row)),
      lives: ({ status }) => !ENDED.includes(status),
    });
    return this.#listing.load();
  }

  hide() {
    this.#shown++;
    this.#listing?.stop();
    this.#root.replaceChildren(); // a player goes silent
  }

  #filter() {
    const options = Object.keys(PATHS).map((kind) => make("option", { value: kind, selected: kind === this.#kind }, t(`recordings.kind.${kind}`)));
    const change = (event) => {
      this.#kind = event.target.value;
      this.#listing.restart();
    };
    return make("select", { "aria-label": t("recordings.kind"), change }, ...options);
  }

  #row(row) {
    const [file] = row.files;
    const href = `#recordings/${this.#kind}/${row.id}`;
    const facts = [row.start && formatTime(new Date(row.start)), file && formatClock(lengthOf(row)), file && formatSize(sizeOf(row)), row.error];
    return make(
      "li", { class: "row", "data-row": row.id },
      make("a", { class: "row-main", href, "data-act": "open" },
        make("span", { class: "row-picture" }, icon("play")),
        make("span", {}, make("strong", {}, row.participantName ?? row.customRoomId ?? row.roomId), make("small", {}, facts.filter(Boolean).join(" · ")))),
      chip(row.status),
      make("span", { class: "row-actions" }, ...this.#actions(row)),
    );
  }

  #actions(row, then = () => this.#listing.load()) {
    const url = row.files[0]?.fileUrl;
    const name = row.participantName ?? row.customRoomId ?? row.roomId;
    const label = (key) => ({ "aria-label": `${t(key)}: ${name}`, title: t(key) });
    const download = url ? [make("a", { class: "icon-button", href: local(url, "&download=1"), download: "", "data-act": "download", ...label("recordings.download") }, icon("download"))] : [];
    const remove = async () => {
      if (!(await ask(t("recordings.deleteSure", { name }), t("recordings.delete")))) return;
      await this.#api.delete(`${PATHS[this.#kind]}/${row.id}`).catch((error) => this.#tell(error));
      then();
    };
    const gone = ENDED.includes(row.status) ? [make("button", { class: "icon-button", type: "button", click: remove, "data-act": "delete", ...label("recordings.delete") }, icon("trash"))] : [];
    return [...download, ...gone];
  }

  async #one(kind, id) {
    this.#kind = kind;
    const shown = this.#shown;
    let row;
    try {
      row = await this.#api.get(`${PATHS[kind]}/${id}`);
    } catch (error) {
      this.#tell(error);
      return;
    }
    if (shown !== this.#shown) return;
    const back = make("a", { class: "button quiet small", href: "#recordings" }, icon("back"), t("recordings.all"));
    const title = make("h1", { tabindex: "-1" }, row.participantName ?? row.customRoomId ?? row.roomId);
    const facts = [row.start && formatTime(new Date(row.start)), row.files.length && formatClock(lengthOf(row)), row.files.length && formatSize(sizeOf(row)), row.config?.layout && t(`compose.layout.${row.config.layout.boxes ? "CUSTOM" : row.config.layout.type}`)];
    const players = row.files.map((file) => this.#player(file, row));
    this.#root.replaceChildren(
      make("p", {}, back),
      make("header", { class: "list-head" }, title, chip(row.status), make("span", { class: "row-actions" }, ...this.#actions(row, () => (location.hash = "#recordings")))),
      make("p", { class: "facts" }, facts.filter(Boolean).join(" · ")),
      ...(row.error ? [make("p", { class: "output-error" }, row.error)] : []),
      ...row.gaps.map(({ start, end }) => make("p", { class: "output-error" }, t("recordings.gap", { from: formatTime(new Date(start)), until: formatTime(new Date(end)) }))),
      ...players,
      ...(players.length ? [] : [make("p", { class: "empty" }, t(row.filesDeleted ? "recordings.deleted" : "recordings.notYet"))]),
    );
    if (!ENDED.includes(row.status)) setTimeout(() => shown === this.#shown && this.#one(kind, id), POLL_MS);
    if (row.timelineUrl) await this.#timeline(row, players[0], shown);
  }

  #player(file, row) {
    const box = make("div", { class: "player" });
    if (!file.fileUrl) return make("p", { class: "empty" }, t(file.userStorage ? "recordings.elsewhere" : "recordings.notYet"));
    const media = make(file.type === "audio" ? "audio" : "video", { controls: true, playsinline: true, preload: "metadata", src: local(file.fileUrl), "aria-label": row.roomId });
    media.addEventListener("error", () => box.append(make("p", { class: "problem-line", role: "alert" }, t("recordings.unplayable"))));
    box.append(media);
    return box;
  }

  async #timeline(row, player, shown) {
    const media = player?.querySelector("video, audio");
    let read;
    try {
      read = readTimeline(await (await fetch(local(row.timelineUrl))).json(), lengthOf(row));
    } catch {
      return; // the plot is an extra; the player is there
    }
    if (shown !== this.#shown) return;
    const lanes = new Lanes(read, (seconds) => {
      if (media) media.currentTime = seconds;
    });
    media?.addEventListener("timeupdate", () => lanes.show(media.currentTime));
    const link = make("a", { href: local(row.timelineUrl), target: "_blank", rel: "noopener" }, t("recordings.timelineFile"));
    this.#root.append(make("section", { class: "timeline" }, make("h2", {}, t("recordings.timeline")), lanes.element, make("p", {}, link)));
  }

  #tell(error) {
    this.#root.prepend(make("p", { class: "problem-line", role: "alert" }, errorLine(error) ?? error.message));
  }
}

const lengthOf = ({ files }) => files.reduce((sum, { meta }) => sum + meta.duration, 0);
const sizeOf = ({ files }) => files.reduce((sum, { size }) => sum + size, 0);
const chip = (status) => make("span", { class: `chip ${status === "stopped" ? "stopped-whole" : status}` }, t(`status.${status}`));
