/**
 * What everybody in a room sees beside people and media: whether it is recorded or on air, who speaks, what is pinned;
 * and the commands that start and stop recordings and livestreams (RTMP out). The base of Meeting, which feeds it.
 */

import { Emitter } from "./emitter.js";
import { TidegateError, sdkError } from "./errors.js";

// A worker process begins, and on a busy machine waits for its turn; the answer comes when it runs.
const START_TIMEOUT_MS = 60000;
const STATES = { recording: "RECORDING_STOPPED", livestream: "LIVESTREAM_STOPPED" };

/** @typedef {{id: string, kind: string, status: string, participantId: string | null}} RunningRecording */
/** @typedef {{id: string, url: string, status: string, error: string | null}} Output */
/** @typedef {{id: string, status: string, outputs: Output[]}} RunningLivestream */

export class Room extends Emitter {
  #command;

  /** @param {(method: string, params: object, options: {timeout: number}) => Promise<any>} command */
  constructor(command) {
    super();
    this.#command = command;
    /** Others by id, and oneself: Meeting's. @type {Map<string, any>} */
    this.participants = new Map();
    /** @type {any} */
    this.localParticipant = null;
    /** Who speaks now. @type {string | null} */
    this.activeSpeakerId = null;
    /** What is pinned, by participant. @type {Map<string, {cam: boolean, share: boolean}>} */
    this.pinnedParticipants = new Map();
    /** RECORDING_STARTING, …_STARTED, …_STOPPING or …_STOPPED */
    this.recordingState = STATES.recording;
    /** LIVESTREAM_STARTING, …_STARTED, …_STOPPING or …_STOPPED */
    this.livestreamState = STATES.livestream;
    /** Those that run. An addition of Tidegate. @type {RunningRecording[]} */
    this.recordings = [];
    /** Those that run, with the state of each output. An addition of Tidegate. @type {RunningLivestream[]} */
    this.livestreams = [];
  }

  /**
   * Records the meeting into one picture; needs the grant `record`.
   * @param {string | null} [webhookUrl] told of this recording
   * @param {string | null} [awsDirPath] folder of the file in the storage
   * @param {object | null} [config] layout, theme, quality, orientation, mode…
   * @param {any} [transcription] not supported
   * @returns {Promise<{id: string}>} the id is an addition of Tidegate
   */
  async startRecording(webhookUrl, awsDirPath, config, transcription) {
    refuseTranscription(transcription, "startRecording");
    return this.#ask("start-recording", { webhookUrl, awsDirPath, config });
  }

  /** @param {string} [id] of one, where several run. An addition of Tidegate */
  async stopRecording(id) {
    return this.#ask("stop-recording", { id });
  }

  /**
   * Sends the meeting to RTMP servers; needs the grant `broadcast`.
   * @param {{url: string, streamKey: string}[]} outputs
   * @param {object | null} [config] as of startRecording, and `recording: {enabled}`: a file alongside
   * @param {any} [transcription] not supported
   * @returns {Promise<{id: string, outputs: Output[]}>} what it answers is an addition of Tidegate
   */
  async startLivestream(outputs, config, transcription) {
    refuseTranscription(transcription, "startLivestream");
    if (!Array.isArray(outputs) || !outputs.length) {
      throw sdkError("INVALID_ARGUMENT", "startLivestream needs a list of outputs: [{url, streamKey}]");
    }
    return this.#ask("start-livestream", { outputs, config });
  }

  /** @param {string} [id] of one, where several run. An addition of Tidegate */
  async stopLivestream(id) {
    return this.#ask("stop-livestream", { id });
  }

  /**
   * Changes how a recording or livestream looks while it runs. An addition of Tidegate.
   * @param {{id: string, config: object}} change what `config` does not name stays
   * @returns {Promise<{id: string, config: object}>}
   */
  async updateComposition({ id, config }) {
    return this.#ask("update-composition", { id, config });
  }

  /**
   * For the SDK's own use: takes in what a `join` says of the room.
   * @param {any} result of it; empty when the meeting is over
   * @returns {() => void} tells what is other than it was
   */
  takeRoom({ state = {}, pins = [], activeSpeakerId = null }) {
    const states = Object.keys(STATES).filter((name) => this.#take(name, state[name]));
    const unpinned = [...this.pinnedParticipants.keys()].map((participantId) => ({ participantId, state: {}, pinnedBy: null }));
    // By participant the later one counts: those that are pinned still are in both lists.
    const byParticipant = new Map([...unpinned, ...pins].map((pin) => [pin.participantId, pin]));
    const changed = [...byParticipant.values()].filter((pin) => this.#pin(pin));
    const speaker = this.activeSpeakerId;
    this.activeSpeakerId = activeSpeakerId;
    return () => {
      for (const name of states) this.#tellState(name);
      for (const pin of changed) this.#tellPin(pin);
      if (speaker !== activeSpeakerId) this.emit("speaker-changed", activeSpeakerId);
    };
  }

  /** For the SDK's own use. @param {string} name `recording` or `livestream` @param {any} value */
  changeState(name, value) {
    const error = value?.error;
    if (error) this.emit("error", new TidegateError(error.code, error.name, error.message));
    if (this.#take(name, value)) this.#tellState(name);
  }

  /** For the SDK's own use. @param {any} pin Pin of docs/signalling.md */
  changePin(pin) {
    if (this.#pin(pin)) this.#tellPin(pin);
  }

  /** For the SDK's own use. @param {string | null} participantId */
  changeSpeaker(participantId) {
    this.activeSpeakerId = participantId;
    this.emit("speaker-changed", participantId);
  }

  #tellState(name) {
    this.emit(`${name}-state-changed`, { status: this[`${name}State`], [`${name}s`]: this[`${name}s`] });
  }

  #tellPin({ participantId, pinnedBy }) {
    const state = this.pinnedParticipants.get(participantId) ?? { cam: false, share: false };
    this.emit("pin-state-changed", { peerId: participantId, participantId, state, pinnedBy });
  }

  #pin({ participantId, state }) {
    const { cam = false, share = false } = state;
    const before = this.pinnedParticipants.get(participantId);
    if (cam || share) this.pinnedParticipants.set(participantId, { cam, share });
    else this.pinnedParticipants.delete(participantId);
    const participant = this.participants.get(participantId) ?? this.localParticipant;
    if (participant?.id === participantId) participant.pinState = { cam, share };
    return (before?.cam ?? false) !== cam || (before?.share ?? false) !== share;
  }

  #take(name, value) {
    const before = JSON.stringify([this[`${name}State`], this[`${name}s`]]);
    this[`${name}State`] = value?.status ?? STATES[name];
    this[`${name}s`] = value?.[`${name}s`] ?? [];
    return JSON.stringify([this[`${name}State`], this[`${name}s`]]) !== before;
  }

  #ask(method, params) {
    // Code for the reference says null or "" for what it does not want.
    const said = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== "");
    return this.#command(method, Object.fromEntries(said), { timeout: START_TIMEOUT_MS });
  }
}

function refuseTranscription(transcription, method) {
  const { enabled = false, summary } = transcription ?? {};
  if (enabled || summary?.enabled) throw sdkError("NOT_SUPPORTED", `${method}: there is no transcription`);
}
