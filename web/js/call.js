/** The call page: binds the meeting's events to the stage, the people, the sounds, and the controls to the meeting. */

import { VideoSDK } from "/sdk/tidegate.js";
import { fillMenus } from "./device-menus.js";
import { byId, icon, showOnly } from "./dom.js";
import { formatClock, t, tn } from "./i18n.js";
import { Invite } from "./invite.js";
import { prefer, preferences } from "./memory.js";
import { People } from "./people.js";
import { errorLine } from "./problems.js";
import { installShortcuts } from "./shortcuts.js";
import { Sounds } from "./sounds.js";
import { Stage } from "./stage.js";
import { OnAir } from "./on-air.js";
import { nameOf } from "./tile.js";
import { announce, toast } from "./toasts.js";

const LEVEL_MS = 150; // how often it is looked who speaks
const SPEAKING = 0.03; // audio level above which somebody speaks and does not only breathe
const SPEAKING_HOLD_MS = 600; // pauses between words do not make the frame flicker

export class Call {
  #meeting;
  #stage;
  #people;
  #sounds;
  #invite;
  #onAir;
  #timers = [];
  #joinedAt = performance.now();
  /** When each was last heard. @type {Map<string, number>} */
  #heard = new Map();
  /** Keeps the screen on while in the call. @type {Promise<WakeLockSentinel | undefined> | undefined} */
  #awake;

  /**
   * @param {any} meeting not yet joined
   * @param {{roomId: string, canInvite: boolean, speaker?: string, api: import("./api.js").Api | null}} options
   */
  constructor(meeting, { roomId, canInvite, speaker, api }) {
    this.#meeting = meeting;
    byId("call-room").textContent = roomId;
    this.#stage = new Stage(byId("stage"), meeting, this.#tell);
    this.#people = new People(meeting, this.#tell);
    this.#sounds = new Sounds(byId("sounds"), (blocked) => (byId("hear").hidden = !blocked));
    if (speaker) this.#sounds.setSpeaker(speaker).catch(() => {}); // gone since last time: the system's plays
    this.#onAir = new OnAir(meeting, { api, onError: this.#tell });
    this.#invite = canInvite ? new Invite(roomId) : null;
    byId("invite-button").hidden = byId("alone-copy").hidden = !canInvite;
    byId("share").hidden = !navigator.mediaDevices?.getDisplayMedia;
    this.#listen();
    this.#bind();
    this.#update();
  }

  /** Shows the call, once joined. */
  start() {
    this.#joinedAt = performance.now();
    showOnly("call");
    byId("mic").focus({ preventScroll: true });
    this.#update();
    this.#timers = [
      setInterval(() => (byId("clock").textContent = formatClock(this.seconds)), 1000),
      setInterval(() => this.#showSpeaking(), LEVEL_MS),
    ];
    this.#keepAwake();
    document.addEventListener("visibilitychange", this.#keepAwake);
  }

  stop() {
    this.#timers.forEach(clearInterval);
    document.removeEventListener("visibilitychange", this.#keepAwake);
    this.#awake?.then((lock) => lock?.release());
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
    this.#sounds.update([]);
    this.#onAir.stop();
  }

  get seconds() {
    return (performance.now() - this.#joinedAt) / 1000;
  }

  #listen() {
    const meeting = this.#meeting;
    this.#follow(meeting.localParticipant);
    meeting.on("participant-joined", (participant) => {
      this.#follow(participant);
      // Those who were there before are no news.
      if (this.#timers.length) toast(t("toast.joined", { name: nameOf(participant) }));
      this.#update();
    });
    meeting.on("participant-left", (participant) => {
      toast(t("toast.left", { name: nameOf(participant) }));
      this.#stage.setAway(participant.id, false);
      this.#update();
    });
    meeting.on("participant-updated", this.#update);
    meeting.on("participant-disconnected", (participant) => participant && this.#stage.setAway(participant.id, true));
    meeting.on("participant-reconnected", (participant) => participant && this.#stage.setAway(participant.id, false));
    meeting.on("presenter-changed", (id) => {
      const presenter = meeting.participants.get(id);
      if (presenter) toast(t("toast.presenting", { name: nameOf(presenter) }));
      else if (id) announce(t("call.sharingNow"));
      this.#update();
    });
    meeting.on("meeting-state-changed", ({ state }) => this.#showState(state));
    meeting.on("grants-changed", this.#update);
    meeting.on("speaker-changed", this.#update);
    meeting.on("pin-state-changed", this.#update);
    meeting.on("moderated", ({ kind, by }) => {
      const key = { audio: "toast.mutedBy", video: "toast.camOffBy" }[kind] ?? "toast.shareOffBy";
      toast(t(key, { name: this.#nameById(by) }));
    });
    meeting.on("mic-requested", (request) => this.#ask("toast.askMic", request));
    meeting.on("webcam-requested", (request) => this.#ask("toast.askCam", request));
    meeting.on("error", this.#tell);
  }

  #follow(participant) {
    for (const event of ["stream-enabled", "stream-disabled", "media-status-changed"]) participant.on(event, this.#update);
  }

  #bind() {
    const click = (id, run) => byId(id).addEventListener("click", run);
    click("mic", this.#toggleMic);
    click("cam", this.#toggleCam);
    click("share", this.#toggleShare);
    click("leave", this.#leave);
    click("leave-now", () => this.#meeting.leave());
    click("end-now", () => {
      byId("leaving").close();
      this.#meeting.end().catch(this.#tell);
    });
    click("invite-button", () => this.#invite?.show());
    click("alone-copy", () => this.#invite?.copy());
    click("hear", () => this.#sounds.play());
    click("more-button", () => this.#showMore());
    // Before what is chosen acts: a dialog gives the focus back to what had it, which must still be seen then.
    byId("more").addEventListener("click", () => this.#showMore(false), { capture: true });
    byId("more").addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#showMore(false);
    });
    click("settings-button", this.#showSettings);
    click("keys-button", () => byId("keys").showModal());
    byId("set-microphone").addEventListener("change", (event) => this.#choose("microphone", event.target.value));
    byId("set-camera").addEventListener("change", (event) => this.#choose("camera", event.target.value));
    byId("set-speaker").addEventListener("change", (event) => this.#choose("speaker", event.target.value));
    byId("set-quality").addEventListener("change", (event) =>
      this.#meeting.setWebcamQuality(event.target.value).catch(this.#tell),
    );
    VideoSDK.on("device-changed", () => byId("settings").open && this.#fillSettings());
    installShortcuts({
      m: { text: "keys.mic", run: this.#toggleMic },
      v: { text: "keys.cam", run: this.#toggleCam },
      s: { text: "keys.share", run: this.#toggleShare },
      p: { text: "keys.people", run: () => this.#people.toggle() },
      i: { text: "keys.invite", run: () => this.#invite?.copy() },
      r: { text: "keys.record", run: () => this.#onAir.open("recording") },
      l: { text: "keys.leave", run: this.#leave },
      "?": { text: "keys.help", run: () => byId("keys").showModal() },
    });
  }

  /** The controls that a phone has no room for. @param {boolean} [open] */
  #showMore(open = !byId("more").classList.contains("open")) {
    if (open === byId("more").classList.contains("open")) return;
    byId("more").classList.toggle("open", open);
    byId("more-button").setAttribute("aria-expanded", String(open));
    if (open) byId("more").querySelector("button:not([hidden])").focus();
    else if (byId("more").contains(document.activeElement)) byId("more-button").focus();
  }

  #toggleMic = () =>
    this.#change("mic", () => this.#meeting.toggleMic(), () => {
      const { micOn } = this.#meeting.localParticipant;
      prefer({ micOn });
      announce(t(micOn ? "toast.micOn" : "toast.micOff"));
    });

  #toggleCam = () =>
    this.#change("cam", () => this.#meeting.toggleWebcam(), () => {
      const { webcamOn } = this.#meeting.localParticipant;
      prefer({ camOn: webcamOn });
      announce(t(webcamOn ? "toast.camOn" : "toast.camOff"));
    });

  #toggleShare = () => {
    if (!byId("share").hidden) this.#change("share", () => this.#meeting.toggleScreenShare());
  };

  #leave = () => {
    if (this.#meeting.grants.end && this.#meeting.participants.size) byId("leaving").showModal();
    else this.#meeting.leave();
  };

  async #change(id, run, then = () => {}) {
    byId(id).setAttribute("aria-busy", "true");
    try {
      await run();
      then();
    } catch (error) {
      this.#tell(error);
    } finally {
      byId(id).removeAttribute("aria-busy");
      this.#update();
    }
  }

  #showSettings = async () => {
    await this.#fillSettings();
    byId("settings").showModal();
  };

  #fillSettings() {
    const { camera, microphone, speaker } = preferences();
    return fillMenus(byId("settings"), {
      audioinput: this.#meeting.selectedMicrophoneDevice.deviceId ?? microphone,
      videoinput: this.#meeting.selectedCameraDevice.deviceId ?? camera,
      audiooutput: speaker,
    });
  }

  async #choose(device, deviceId) {
    prefer({ [device]: deviceId });
    try {
      if (device === "microphone") await this.#meeting.changeMic(deviceId);
      else if (device === "camera") await this.#meeting.changeWebcam(deviceId);
      else await this.#sounds.setSpeaker(deviceId);
    } catch (error) {
      this.#tell(error);
    }
  }

  #tell = (error) => {
    const line = errorLine(error);
    if (line) toast(line, { bad: true });
  };

  #ask(key, { participantId, accept }) {
    const run = () => accept().catch(this.#tell);
    toast(t(key, { name: this.#nameById(participantId) }), { action: { label: t("toast.accept"), run } });
  }

  #nameById(id) {
    const participant = this.#meeting.participants.get(id);
    return participant ? nameOf(participant) : t("pre.guest");
  }

  #update = () => {
    const { localParticipant, participants, grants } = this.#meeting;
    this.#stage.update();
    this.#people.update();
    this.#onAir.update();
    this.#sounds.update(participants.values());
    this.#control("mic", "mic", localParticipant.micOn, { warn: true });
    this.#control("cam", "cam", localParticipant.webcamOn, { warn: true });
    this.#control("share", "screen", localParticipant.screenShareOn, { words: "share" });
    for (const [id, source] of [["mic", "mic"], ["cam", "webcam"], ["share", "screen"]]) {
      byId(id).disabled = this.#timers.length > 0 && !grants.publish?.includes(source);
    }
    const count = participants.size + 1;
    byId("people-count").textContent = String(count);
    byId("people-button").setAttribute("aria-label", `${t("call.people")}: ${tn("call.peopleCount", count)}`);
    byId("people-button").title = t("call.people");
    byId("alone").hidden = participants.size > 0;
  };

  #control(id, picture, on, { warn = false, words = picture } = {}) {
    const button = byId(id);
    const text = t(`call.${words}.${on ? "off" : "on"}`);
    button.classList.toggle("off", warn && !on);
    button.classList.toggle("active", !warn && on);
    button.setAttribute("aria-label", text);
    button.title = text;
    const name = warn ? (on ? picture : `${picture}Off`) : on ? `${picture}Off` : picture;
    button.replaceChildren(icon(/** @type {any} */ (name)));
  }

  #showState(state) {
    const words = { CONNECTING: "state.CONNECTING", RECONNECTING: "state.RECONNECTING", FAILED: "state.FAILED" }[state];
    byId("state").textContent = words ? t(words) : "";
    byId("state").classList.toggle("bad", state === "RECONNECTING" || state === "FAILED");
    byId("call").dataset.state = state;
    if (state === "CONNECTED") this.#stage.forgetAway(); // who came back meanwhile was not told
  }

  #showSpeaking() {
    const now = performance.now();
    for (const participant of this.#meeting.participants.values()) {
      if ((participant.streamOf("audio")?.audioLevel ?? 0) > SPEAKING) this.#heard.set(participant.id, now);
    }
    this.#stage.showSpeaking(({ id, micOn }) => micOn && now - (this.#heard.get(id) ?? -Infinity) < SPEAKING_HOLD_MS);
  }

  #keepAwake = () => {
    // Refused on a low battery; then the screen may go dark, and the call goes on.
    if (document.visibilityState === "visible") this.#awake = navigator.wakeLock?.request("screen").catch(() => undefined);
  };
}
