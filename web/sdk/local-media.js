/**
 * What this client sends: opens devices, turns sources on and off, hands tracks to the publisher, keeps the local
 * participant's streams true. A microphone that is off keeps its device open and sends nothing, so that it is back at
 * once; a camera that is off is closed, so that its light goes out.
 */

import { micConstraints, openDevices, openScreen, trackOf, webcamConstraints } from "./devices.js";
import { screenEncodings, videoBitrate, webcamEncodings } from "./encodings.js";
import { sdkError } from "./errors.js";
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

  /** Opens what the meeting starts with; one prompt where possible. A device that fails is told and left out. */
  async prepare() {
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
      if (track) this.#keep(source, track);
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
    if (publications.length) await publisher.publish(publications);
    this.#show();
  }

  /** Tells the server the mute states again, after it was away. */
  async confirmMuted() {
    await Promise.all([...this.#media].map(([source, { on }]) => this.#publisher?.setMuted(source, !on)));
  }

  /** @param {"mic"|"webcam"} source @param {MediaStream | MediaStreamTrack} [custom] */
  turnOn(source, custom) {
    return this.#sequences[source].run(async () => {
      const given = trackOf(custom, source === "mic" ? "audio" : "video");
      const old = this.#media.get(source);
      let track = old?.track;
      if (given || !track || track.readyState === "ended") {
        track = given ?? (await this.#open(source));
        old?.track?.stop();
      }
      track.enabled = true;
      this.#keep(source, track);
      await this.#send(source, track);
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
        await this.#publisher?.replaceTrack(source, null);
      }
      this.#show();
      if (tell) await this.#publisher?.setMuted(source, true);
    });
  }

  /** @param {"mic"|"webcam"} source @param {string | MediaStream | MediaStreamTrack} choice device id or track */
  change(source, choice) {
    return this.#sequences[source].run(async () => {
      if (typeof choice === "string") this.#chosen[source] = choice;
      const entry = this.#media.get(source);
      // A source that is off takes the new device when it is turned on; only an open microphone has one to replace.
      if (!entry?.track && typeof choice === "string") return;
      const track = typeof choice === "string" ? await this.#open(source, true) : trackOf(choice, KIND_OF_SOURCE[source]);
      const on = entry?.on ?? false;
      track.enabled = on || source === "webcam";
      await this.#publisher?.replaceTrack(source, track);
      entry?.track?.stop();
      this.#keep(source, track, on);
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
      for (const track of tracks) {
        if (track.kind === "video") track.contentHint = "detail"; // sharp text before smooth motion
        this.#keep(track.kind === "video" ? "screen" : "screenAudio", track);
      }
      const publications = tracks.map((track) =>
        this.#publication(track.kind === "video" ? "screen" : "screenAudio", track, false),
      );
      try {
        await this.#live().publish(publications);
      } catch (error) {
        this.#forget(["screen", "screenAudio"]);
        throw error;
      }
      this.#show();
    });
  }

  stopScreen() {
    return this.#sequences.screen.run(() => this.#end(["screen", "screenAudio"]));
  }

  /** Ends what the grants no longer allow. @param {string[]} allowed sources */
  async dropDisallowed(allowed) {
    const gone = [...this.#media.keys()].filter((source) => !allowed.includes(source));
    if (gone.length) await this.#end(gone);
  }

  /** Closes every device. */
  stop() {
    this.#forget([...this.#media.keys()]);
    this.#publisher = null;
  }

  #live() {
    if (!this.#publisher) throw sdkError("INVALID_ARGUMENT", "This participant sends nothing: see `mode`");
    return this.#publisher;
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

  async #send(source, track) {
    const publisher = this.#live();
    if (publisher.trackId(source)) {
      await publisher.replaceTrack(source, track);
      this.#show();
      await publisher.setMuted(source, false);
      return;
    }
    try {
      await publisher.publish([this.#publication(source, track, false)]);
    } catch (error) {
      this.#forget([source]);
      throw error;
    }
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
    const published = sources.filter((source) => this.#publisher?.trackId(source));
    await this.#publisher?.unpublish(published).catch((error) => {
      if (error.code !== UNKNOWN_TRACK) throw error; // the server had ended it first
    });
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
