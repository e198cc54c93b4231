/**
 * What this client sends: opens devices, turns sources on and off, hands tracks to the publisher, keeps the local
 * participant's streams true. A microphone that is off keeps its device open and sends nothing, so that it is back at
 * once; a camera that is off is closed, so that its light goes out.
 */

import { micConstraints, openDevices, openScreen, trackOf, webcamConstraints } from "./devices.js";
import { screenEncodings, videoBitrate, webcamEncodings } from "./encodings.js";
import { TidegateError, sdkError } from "./errors.js";
import { Sequence } from "./peer.js";
import { KIND_OF_SOURCE, Stream } from "./stream.js";

const UNKNOWN_TRACK = 4095;

export class LocalMedia {
  #options;
  #onError;
  #onSelected;
  /** @type {import("./publisher.js").Publisher | null} */
  #publisher = null;
  /** @type {import("./participant.js").LocalParticipant | null} */
  #participant = null;
  /** By source. `track` is null while a camera is off. @type {Map<string, {track: MediaStreamTrack | null, on: boolean}>} */
  #media = new Map();
  /** One change of a source at a time, so that quick clicks end in the state of the last one. */
  #sequences = { mic: new Sequence(), webcam: new Sequence(), screen: new Sequence() };
  #chosen = { mic: undefined, webcam: undefined };
  /** Sources that the grants allow. @type {string[]} */
  #allowed = [];
  #stopped = false;

  /**
   * @param {object} options of initMeeting
   * @param {(error: Error) => void} onError what goes wrong without anybody having asked
   * @param {() => void} onSelected the chosen devices are others now
   */
  constructor(options, onError, onSelected) {
    this.#options = options;
    this.#onError = onError;
    this.#onSelected = onSelected;
    this.#chosen = { mic: options.defaultMicrophone, webcam: options.defaultCamera };
  }

  /** {deviceId, label} of what is open, or {} @param {"mic"|"webcam"} source */
  selected(source) {
    const track = this.#media.get(source)?.track;
    return track ? { deviceId: track.getSettings().deviceId, label: track.label } : {};
  }

  isOn(source) {
    return this.#media.get(source)?.on ?? false;
  }

  /**
   * Opens what the meeting starts with; one prompt where possible. A device that fails is told and left out. Whoever
   * turns something on or off meanwhile waits for the answer to the prompt.
   */
  prepare() {
    return this.#sequences.mic.run(() => this.#sequences.webcam.run(() => this.#openFirst()));
  }

  async #openFirst() {
    const { micEnabled, webcamEnabled, customMicrophoneAudioTrack, customCameraVideoTrack } = this.#options;
    const given = {
      mic: micEnabled ? trackOf(customMicrophoneAudioTrack, "audio") : null,
      webcam: webcamEnabled ? trackOf(customCameraVideoTrack, "video") : null,
    };
    const wanted = ["mic", "webcam"].filter(
      (source) => (source === "mic" ? micEnabled : webcamEnabled) && !given[source],
    );
    const opened = await this.#openTogether(/** @type {any} */ (wanted));
    for (const source of /** @type {const} */ (["mic", "webcam"])) {
      const track = given[source] ?? opened.get(source);
      if (this.#stopped) track?.stop();
      else if (track) this.#keep(source, track);
    }
  }

  /**
   * Publishes everything that runs over a new publish connection.
   * @param {import("./publisher.js").Publisher} publisher
   * @param {import("./participant.js").LocalParticipant} participant
   * @param {string[]} allowed sources by the grants
   */
  async publishAll(publisher, participant, allowed) {
    this.#publisher = publisher;
    this.#participant = participant;
    await this.dropDisallowed(allowed);
    const publications = [...this.#media]
      .filter(([, { track }]) => track)
      .map(([source, { track, on }]) => this.#publication(source, /** @type {any} */ (track), !on));
    try {
      if (publications.length) await publisher.publish(publications);
    } catch (error) {
      // A lost connection comes back: `confirm` or the next publisher sends what is missing.
      if (error.name === "CONNECTION_LOST" || this.#publisher !== publisher) return;
      this.#forget([...this.#media.keys()].filter((source) => !publisher.trackId(source)));
      throw error;
    }
    this.#show();
  }

  /** Tells the server again what is on and what is not, and what it may never have heard of, after it was away. */
  async confirm() {
    await Promise.all([...this.#media.keys()].map((source) => this.#sequenceOf(source).run(() => this.#confirm(source))));
  }

  async #confirm(source) {
    const { track, on } = this.#media.get(source) ?? { track: null, on: false };
    if (this.#publisher?.trackId(source)) await this.#publisher.setMuted(source, !on);
    else if (track) await this.#publisher?.publish([this.#publication(source, track, !on)]);
    this.#show();
  }

  #sequenceOf(source) {
    return this.#sequences[source] ?? this.#sequences.screen; // its sound comes and goes with a screen
  }

  /** @param {"mic"|"webcam"} source @param {MediaStream | MediaStreamTrack} [custom] */
  turnOn(source, custom) {
    return this.#sequences[source].run(async () => {
      const given = trackOf(custom, source === "mic" ? "audio" : "video");
      const old = this.#media.get(source);
      let track = old?.track;
      if (given || !track || track.readyState === "ended") {
        track = given ?? (await this.#open(source));
        if (old?.track !== track) old?.track?.stop();
      }
      track.enabled = true;
      this.#keep(source, track);
      await this.#publish([this.#publication(source, track, false)]);
    });
  }

  /**
   * @param {"mic"|"webcam"} source
   * @param {{tell?: boolean}} [options] without `tell` the server knows already
   */
  turnOff(source, { tell = true } = {}) {
    return this.#sequences[source].run(async () => {
      const entry = this.#media.get(source);
      if (!entry) return;
      entry.on = false;
      if (source === "mic") {
        if (entry.track) entry.track.enabled = false;
      } else {
        entry.track?.stop();
        entry.track = null;
      }
      this.#show();
      await this.#unlessReplaced(async (publisher) => {
        if (source === "webcam") await publisher.replaceTrack(source, null);
        if (tell) await publisher.setMuted(source, true);
      });
    });
  }

  /** @param {"mic"|"webcam"} source @param {string | MediaStream | MediaStreamTrack} choice device id or track */
  change(source, choice) {
    return this.#sequences[source].run(async () => {
      if (typeof choice === "string") this.#chosen[source] = choice;
      const entry = this.#media.get(source);
      // A source that is off takes the new device when it is turned on; only an open microphone has one to replace.
      if (!entry?.track && typeof choice === "string") return;
      const track =
        typeof choice === "string" ? await this.#openInstead(source, entry?.track) : trackOf(choice, KIND_OF_SOURCE[source]);
      const on = entry?.on ?? false;
      track.enabled = on || source === "webcam";
      this.#keep(source, track, on);
      try {
        if (on || source === "mic") await this.#unlessReplaced((publisher) => publisher.replaceTrack(source, track));
      } finally {
        if (entry?.track !== track) entry?.track?.stop(); // only now: others see no gap
      }
      this.#show();
    });
  }

  /** @param {"low"|"med"|"high"} quality */
  setWebcamQuality(quality) {
    return this.#sequences.webcam.run(async () => {
      this.#options.quality = quality;
      const track = this.#media.get("webcam")?.track;
      if (!track) return;
      await track.applyConstraints(webcamConstraints(undefined, quality));
      const sender = this.#publisher?.sender("webcam");
      const parameters = sender?.getParameters();
      if (!parameters || parameters.encodings.length !== 1) return; // simulcast layers keep their bitrates
      const { width = 640, height = 480 } = track.getSettings();
      parameters.encodings[0].maxBitrate = videoBitrate(Math.min(width, height));
      await sender?.setParameters(parameters);
    });
  }

  /** @param {MediaStream | MediaStreamTrack} [custom] */
  startScreen(custom) {
    return this.#sequences.screen.run(async () => {
      if (this.isOn("screen")) return;
      const stream = custom ?? (await openScreen());
      const tracks = "getTracks" in stream ? stream.getTracks() : [stream];
      const found = new Map(tracks.map((track) => [track.kind === "video" ? "screen" : "screenAudio", track]));
      for (const [source, track] of found) {
        if (source === "screen") track.contentHint = "detail"; // sharp text before smooth motion
        if (this.#stopped || !this.#allowed.includes(source)) {
          track.stop(); // a picture may be allowed without its sound
          found.delete(source);
        }
      }
      if (this.#stopped) throw leftMeanwhile();
      for (const [source, track] of found) this.#keep(source, track);
      await this.#publish([...found].map(([source, track]) => this.#publication(source, track, false)));
    });
  }

  stopScreen() {
    return this.#sequences.screen.run(() => this.#end(["screen", "screenAudio"]));
  }

  /** Ends what the grants no longer allow. @param {string[]} allowed sources */
  async dropDisallowed(allowed) {
    this.#allowed = allowed;
    const gone = [...this.#media.keys()].filter((source) => !allowed.includes(source));
    if (gone.length) await this.#end(gone);
  }

  /** Closes every device, for good: what is being opened now is closed when it comes. */
  stop() {
    this.#stopped = true;
    this.#forget([...this.#media.keys()]);
    this.#publisher = null;
  }

  /** A connection that has been replaced may fail: the new one publishes everything as it is now. */
  async #unlessReplaced(act) {
    const publisher = this.#publisher;
    if (!publisher) return; // before the first there is nothing to tell; it takes all there is
    try {
      await act(publisher);
    } catch (error) {
      if (this.#publisher === publisher) throw error;
    }
  }

  #constraints(source, strict = false) {
    const { quality, maxResolution, facingMode } = this.#options;
    // A wish, except where somebody has just chosen it: the device of last time may be in another bag today.
    const chosen = this.#chosen[source];
    const deviceId = chosen && !strict ? { ideal: chosen } : chosen;
    if (source === "mic") return micConstraints(deviceId);
    return webcamConstraints(deviceId, quality ?? maxResolution, facingMode);
  }

  async #open(source, strict = false) {
    const kind = source === "mic" ? "audio" : "video";
    const stream = await openDevices({ [kind]: this.#constraints(source, strict) }).catch((error) => {
      throw Object.assign(error, { source });
    });
    return /** @type {MediaStreamTrack} */ (stream.getTracks()[0]);
  }

  /** Opens what was just chosen beside the present track; many phones open one camera at a time, and not beside. */
  async #openInstead(source, present) {
    try {
      return await this.#open(source, true);
    } catch (error) {
      if (error.name !== "DEVICE_IN_USE" || source !== "webcam" || !present) throw error;
    }
    present.stop();
    return this.#open(source, true).catch((error) => {
      this.#lost(source, present);
      throw error;
    });
  }

  /** @param {("mic"|"webcam")[]} sources @returns {Promise<Map<string, MediaStreamTrack>>} */
  async #openTogether(sources) {
    const found = new Map();
    if (!sources.length) return found;
    try {
      const stream = await openDevices({
        audio: sources.includes("mic") && this.#constraints("mic"),
        video: sources.includes("webcam") && this.#constraints("webcam"),
      });
      for (const track of stream.getTracks()) found.set(track.kind === "audio" ? "mic" : "webcam", track);
    } catch (error) {
      if (sources.length === 1) this.#onError(Object.assign(error, { source: sources[0] }));
      // A missing camera must not cost the microphone: each alone.
      else for (const source of sources) for (const pair of await this.#openTogether([source])) found.set(...pair);
    }
    return found;
  }

  #keep(source, track, on = true) {
    if (this.#stopped) {
      track.stop();
      throw leftMeanwhile();
    }
    this.#media.set(source, { track, on });
    track.onended = () => this.#lost(source, track); // not called by our own stop()
    this.#onSelected();
  }

  async #lost(source, track) {
    if (this.#media.get(source)?.track !== track) return;
    if (source === "screen" || source === "screenAudio") {
      // The browser's own "stop sharing" is no error.
      await this.stopScreen().catch(this.#onError);
      return;
    }
    const gone = sdkError("DEVICE_LOST", `The ${source === "mic" ? "microphone" : "camera"} is gone`);
    this.#onError(Object.assign(gone, { source }));
    this.#chosen[source] = undefined;
    await this.turnOff(source).catch(this.#onError);
  }

  /** @param {import("./publisher.js").Publication[]} publications of sources that are on */
  async #publish(publications) {
    this.#show(); // what is published already is there again before the server has been told
    await this.#unlessReplaced(async (publisher) => {
      try {
        await publisher.publish(publications);
      } catch (error) {
        const failed = publications.map(({ source }) => source).filter((source) => !publisher.trackId(source));
        if (this.#publisher === publisher) this.#forget(failed);
        throw error;
      }
    });
    this.#show();
  }

  #publication(source, track, muted) {
    if (source === "webcam") {
      const simulcast = Boolean(this.#options.multiStream);
      return { source, track, muted, simulcast, encodings: webcamEncodings(track.getSettings(), simulcast) };
    }
    return { source, track, muted, encodings: source === "screen" ? screenEncodings() : undefined };
  }

  async #end(sources) {
    this.#forget(sources);
    this.#show();
    await this.#unlessReplaced((publisher) =>
      publisher.unpublish(sources).catch((error) => {
        if (error.code !== UNKNOWN_TRACK) throw error; // the server had ended it first
      }),
    );
  }

  #forget(sources) {
    for (const source of sources) {
      const track = this.#media.get(source)?.track;
      if (track) {
        track.onended = null;
        track.stop();
      }
      this.#media.delete(source);
    }
  }

  /** Makes the local participant's streams what runs. */
  #show() {
    const participant = this.#participant;
    if (!participant) return;
    const streams = new Map();
    const running = new Set();
    for (const [source, { track, on }] of this.#media) {
      const id = this.#publisher?.trackId(source);
      if (!on || !track || !id) continue;
      running.add(source);
      const known = participant.streams.get(id);
      const pause = async (paused) => {
        track.enabled = !paused;
      };
      streams.set(id, known?.track === track ? known : new Stream({ id, source, track, pause }));
    }
    participant.setStatus(running);
    participant.setStreams(streams);
  }
}

const leftMeanwhile = () => new TidegateError(4096, "NOT_JOINED", "The meeting was left while the device was opened");
