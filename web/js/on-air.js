/** Recording and going live from the call: the two controls, their dialog, and what everybody is told of it. */

import { CompositionForm } from "./composition-form.js";
import { byId, icon, make } from "./dom.js";
import { t } from "./i18n.js";
import { prefer, preferences } from "./memory.js";
import { noteRates, outputList } from "./outputs.js";
import { inputMistakes } from "./problems.js";
import { Targets } from "./targets.js";
import { nameOf } from "./tile.js";
import { toast } from "./toasts.js";

const POLL_MS = 3000;
const TROUBLE = ["retrying", "failed"];
const KINDS = {
  recording: { button: "record", grant: "record", words: "record", running: ({ recordings }) => recordings.filter(({ kind }) => kind === "room") },
  livestream: { button: "live", grant: "broadcast", words: "live", running: ({ livestreams }) => livestreams },
};

export class OnAir {
  #meeting;
  #api;
  #onError;
  #form;
  #targets = new Targets();
  /** What the dialog is about while it is open. @type {keyof typeof KINDS} */
  #kind = "recording";
  /** Whether the dialog changes what runs, or starts something. */
  #runs = false;
  #busy = false;
  /** Bit rates so far by output. @type {Map<string, number[]>} */
  #rates = new Map();
  /** As REST tells them, with numbers. @type {any[]} */
  #outputs = [];
  /** Errors of outputs that were told. @type {Map<string, string>} */
  #told = new Map();
  #timer;
  /** Id of the recording that ran last. @type {string | null} */
  #latest = null;

  /**
   * @param {any} meeting
   * @param {{api: import("./api.js").Api | null, onError: (error: any) => void}} options without an API, bit rates are not known
   */
  constructor(meeting, { api, onError }) {
    this.#meeting = meeting;
    this.#api = api;
    this.#onError = onError;
    this.#form = new CompositionForm(() => this.#people());
    for (const kind of /** @type {(keyof typeof KINDS)[]} */ (Object.keys(KINDS))) {
      byId(KINDS[kind].button).addEventListener("click", () => this.open(kind));
      meeting.on(`${kind}-state-changed`, ({ status }) => this.#changed(kind, status));
    }
    byId("composing-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#go();
    });
    byId("composing-stop").addEventListener("click", () => this.#stop());
    byId("composing-close").addEventListener("click", () => byId("composing").close());
    byId("composing").addEventListener("close", () => clearInterval(this.#timer));
  }

  /** @param {keyof typeof KINDS} kind */
  open(kind) {
    if (byId(KINDS[kind].button).hidden) return;
    this.#kind = kind;
    this.#targets.reset();
    byId("alongside").checked = false;
    byId("composing-problem").replaceChildren();
    this.#outputs = [];
    this.#show();
    byId("composing").showModal();
    if (kind === "livestream" && this.#api) {
      this.#timer = setInterval(() => this.#poll(), POLL_MS);
      this.#poll();
    }
  }

  /** Makes controls and notices say what is. */
  update() {
    const { grants, localParticipant } = this.#meeting;
    for (const [kind, { button, grant, words }] of Object.entries(KINDS)) {
      const on = this.#state(kind) !== "STOPPED";
      const element = byId(button);
      element.hidden = !grants[grant];
      element.classList.toggle("on-air", on);
      element.title = t(on ? `air.${words}.change` : `air.${words}.start`);
      element.querySelector(".control-word").textContent = element.title;
    }
    if (localParticipant.id) this.#notice();
    if (byId("composing").open) this.#form.draw();
  }

  stop() {
    clearInterval(this.#timer);
  }

  get #running() {
    return KINDS[this.#kind].running(this.#meeting)[0];
  }

  #state(kind) {
    return this.#meeting[`${kind}State`].replace(/^[A-Z]+_/, "");
  }

  #notice() {
    const shown = Object.keys(KINDS).filter((kind) => this.#state(kind) !== "STOPPED");
    const words = shown.map((kind) => [kind, t(`notice.${kind}.${this.#state(kind)}`)]);
    const box = byId("notices");
    // Said once: what is put there anew is read out anew.
    if (box.textContent === words.map(([, text]) => text).join("")) return;
    box.replaceChildren(...words.map(([kind, text]) => make("span", { class: `notice ${kind}` }, icon(kind === "recording" ? "record" : "live"), text)));
  }

  #changed(kind, status) {
    this.update();
    if (kind === "livestream") this.#tellTrouble();
    const out = ["DISCONNECTED", "FAILED"].includes(this.#meeting.state); // then nobody can know
    if (status.endsWith("_STOPPED") && !out) this.#tellEnd(kind);
    if (kind === "recording") this.#latest = KINDS.recording.running(this.#meeting)[0]?.id ?? this.#latest;
    if (!byId("composing").open || kind !== this.#kind || this.#busy) return;
    if (Boolean(this.#running) !== this.#runs) byId("composing").close(); // somebody else was faster
    else this.#showRunning();
  }

  /** With the way to the file, for those who may look. */
  #tellEnd(kind) {
    const address = `/#recordings/room/${this.#latest}`;
    const open = { label: t("record.open"), run: () => globalThis.open(address, "_blank", "noopener") };
    const mayLook = kind === "recording" && this.#latest && this.#api && this.#meeting.grants.record;
    toast(t(`notice.${kind}.STOPPED`), mayLook ? { action: open } : {});
  }

  /** A target's trouble, to those who can do something about it. */
  #tellTrouble() {
    const { grants, livestreams } = this.#meeting;
    for (const { id, url, status, error } of livestreams.flatMap(({ outputs }) => outputs)) {
      const words = TROUBLE.includes(status) ? (error ?? "") : "";
      if (words && words !== this.#told.get(id) && grants.broadcast) toast(t("live.trouble", { url, reason: words }), { bad: true });
      this.#told.set(id, words);
    }
  }

  #show() {
    const { words } = KINDS[this.#kind];
    const running = this.#running;
    this.#runs = Boolean(running);
    byId("composing-heading").textContent = t(this.#runs ? `air.${words}.heading.running` : `air.${words}.heading`);
    byId("composing-lead").textContent = t(this.#runs ? `air.${words}.lead.running` : `air.${words}.lead`);
    byId("composing-go").textContent = t(this.#runs ? "compose.apply" : `air.${words}.go`);
    byId("composing-stop").hidden = !this.#runs;
    byId("composing-stop").textContent = t(`air.${words}.stop`);
    // Targets can be added while it runs, by REST.
    byId("targets").hidden = this.#kind !== "livestream" || (this.#runs && !this.#api);
    byId("alongside").parentElement.hidden = this.#runs;
    this.#form.show(preferences().composition, this.#runs);
    this.#showRunning();
    if (running && this.#api) this.#showConfig(running.id);
  }

  #showRunning() {
    const running = this.#running;
    const box = byId("running");
    box.hidden = !this.#runs || this.#kind !== "livestream";
    if (box.hidden || !running) return;
    const numbers = new Map(this.#outputs.map((output) => [output.id, output]));
    const outputs = running.outputs.map((output) => ({ ...numbers.get(output.id), ...output }));
    const focused = document.activeElement?.closest("[data-output]")?.getAttribute("data-output");
    box.replaceChildren(make("h3", {}, t("live.outputs")), outputList(outputs, this.#rates, (output) => this.#actions(running, output)));
    /** @type {any} */ (focused && box.querySelector(`[data-output="${CSS.escape(focused)}"] button`))?.focus();
  }

  #actions(running, { id, url }) {
    if (!this.#api || running.outputs.length < 2) return [];
    const label = t("live.removeOutput", { url });
    const remove = () => this.#api?.delete(`/v2/livestreams/${running.id}/outputs/${id}`).catch(this.#onError);
    return [make("button", { class: "icon-button", type: "button", "aria-label": label, title: label, click: remove }, icon("close"))];
  }

  /** The form begins with what is seen now, which somebody else may have chosen. */
  async #showConfig(id) {
    const path = this.#kind === "recording" ? "recordings" : "livestreams";
    const row = await this.#api?.get(`/v2/${path}/${id}`).catch(() => null); // then with what was chosen here last
    if (row?.config && this.#runs && this.#running?.id === id) this.#form.show(row.config, true);
  }

  async #poll() {
    const running = this.#running;
    if (!running || this.#kind !== "livestream") return;
    const row = await this.#api?.get(`/v2/livestreams/${running.id}`).catch(() => null); // the next time, perhaps
    if (!row) return;
    this.#outputs = row.outputs;
    noteRates(this.#rates, row.outputs);
    this.#showRunning();
  }

  async #go() {
    let config;
    try {
      config = this.#form.read(this.#runs);
    } catch (error) {
      this.#refuse([{ path: "layout", message: t("compose.notJson", { reason: error.message }) }]);
      return;
    }
    await this.#work(byId("composing-go"), () => (this.#runs ? this.#change(config) : this.#start(config)));
  }

  async #start(config) {
    if (this.#kind === "recording") await this.#meeting.startRecording(null, null, config);
    else {
      const { outputs } = this.#targets;
      if (!outputs.length) {
        this.#targets.mark("outputs[0].url");
        throw Object.assign(new Error(), { errors: [{ path: "", message: t("live.noTarget") }] });
      }
      await this.#meeting.startLivestream(outputs, { ...config, recording: { enabled: byId("alongside").checked } });
    }
    prefer({ composition: config });
  }

  async #change(config) {
    const { id } = this.#running;
    await this.#meeting.updateComposition({ id, config });
    if (this.#kind !== "livestream") return;
    for (const output of this.#targets.outputs) await this.#api?.post(`/v2/livestreams/${id}/outputs`, output);
  }

  #stop() {
    const { id } = this.#running ?? {};
    const stop = () => (this.#kind === "recording" ? this.#meeting.stopRecording(id) : this.#meeting.stopLivestream(id));
    return this.#work(byId("composing-stop"), stop);
  }

  /** One thing at a time; the dialog goes when it is done, and says what is wrong else. */
  async #work(button, run) {
    if (this.#busy) return;
    this.#busy = true;
    button.setAttribute("aria-busy", "true");
    byId("composing-problem").replaceChildren();
    try {
      await run();
      byId("composing").close();
    } catch (error) {
      this.#refuse(inputMistakes(error));
    } finally {
      this.#busy = false;
      button.removeAttribute("aria-busy");
    }
  }

  /** @param {{path: string, message: string}[]} mistakes */
  #refuse(mistakes) {
    const line = ({ path, message }) => make("li", {}, ...(path ? [make("code", {}, path), " "] : []), message);
    byId("composing-problem").replaceChildren(make("ul", {}, ...mistakes.map(line)));
    for (const { path } of mistakes) this.#targets.mark(path);
  }

  #people() {
    const { localParticipant, participants, activeSpeakerId, pinnedParticipants } = this.#meeting;
    const everybody = [localParticipant, ...participants.values()].sort((a, b) => (a.joinedAt ?? 0) - (b.joinedAt ?? 0));
    const pinned = (what) => [...pinnedParticipants].filter(([, state]) => state[what]).map(([id]) => id);
    const cast = {
      people: everybody.map(({ id }) => id),
      cameras: everybody.filter(({ webcamOn }) => webcamOn).map(({ id }) => id),
      shares: everybody.filter(({ screenShareOn }) => screenShareOn).map(({ id }) => id),
      speakers: activeSpeakerId ? [activeSpeakerId] : [],
      pinned: pinned("cam"),
      pinnedShares: pinned("share"),
    };
    const byName = new Map(everybody.map((participant) => [participant.id, nameOf(participant)]));
    return { cast, nameOf: (id) => byName.get(id) ?? id };
  }
}
