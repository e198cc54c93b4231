/**
 * The browser SDK of Tidegate: a plain ES module, no build step.
 *
 *     import { VideoSDK } from "https://your-server/sdk/tidegate.js";
 *     VideoSDK.config(token);
 *     const meeting = VideoSDK.initMeeting({ meetingId, name: "Ada", micEnabled: true, webcamEnabled: true });
 *     await meeting.join();
 *
 * Class, method and event names are those of the reference's section 4; docs/sdk.md says what exists.
 */

import {
  checkPermissions, listDevices, micConstraints, openDevices, openScreen, requestPermission, webcamConstraints,
} from "./devices.js";
import { RESOLUTIONS } from "./encodings.js";
import { Emitter } from "./emitter.js";
import { SDK_ERRORS, TidegateError, sdkError } from "./errors.js";
import { Meeting } from "./meeting.js";
import { addUnsupported } from "./unsupported.js";

const MODES = { SEND_AND_RECV: "SEND_AND_RECV", CONFERENCE: "SEND_AND_RECV", RECV_ONLY: "RECV_ONLY",
  SIGNALLING_ONLY: "SIGNALLING_ONLY", VIEWER: "SIGNALLING_ONLY" };

/**
 * @typedef {object} MeetingOptions
 * @property {string} meetingId room id or custom room id
 * @property {string} [participantId] made by the server when left out
 * @property {string} [name] shown to the others
 * @property {boolean} [micEnabled] default true
 * @property {boolean} [webcamEnabled] default true
 * @property {"hd"|"sd"} [maxResolution] of the camera; default "hd" (720 lines)
 * @property {boolean} [multiStream] send the camera in three sizes (simulcast); default false
 * @property {"SEND_AND_RECV"|"RECV_ONLY"|"SIGNALLING_ONLY"} [mode] default "SEND_AND_RECV"
 * @property {any} [metaData] shown to the others, JSON
 * @property {Record<string, string>} [attributes] likewise, by key
 * @property {boolean} [autoConsume] receive everything without asking; default true
 * @property {string} [signalingBaseUrl] origin of the server; default: where this module came from
 * @property {MediaStream | MediaStreamTrack} [customCameraVideoTrack]
 * @property {MediaStream | MediaStreamTrack} [customMicrophoneAudioTrack]
 * @property {string} [defaultCamera] device id
 * @property {string} [defaultMicrophone] device id; an addition of Tidegate
 * @property {"UDP_OVER_TCP"|"UDP_ONLY"|"TCP_ONLY"} [preferredProtocol] only the default is supported
 */

const emitter = new Emitter();
let token = "";

export class VideoSDK {
  /** @param {string} newToken for the meetings made from now on */
  static config(newToken) {
    if (typeof newToken !== "string" || !newToken) throw sdkError("INVALID_ARGUMENT", "A token is a non-empty string");
    token = newToken;
  }

  /** @param {MeetingOptions} options @returns {Meeting} */
  static initMeeting(options) {
    if (!options?.meetingId) throw sdkError("INVALID_ARGUMENT", "initMeeting needs a meetingId");
    if (!token) throw sdkError("INVALID_ARGUMENT", "Call VideoSDK.config(token) first");
    const mode = MODES[options.mode ?? "SEND_AND_RECV"];
    if (!mode) throw sdkError("INVALID_ARGUMENT", `There is no mode ${options.mode}`);
    if (options.maxResolution !== undefined && !RESOLUTIONS[options.maxResolution]) {
      throw sdkError("INVALID_ARGUMENT", "maxResolution is \"hd\" or \"sd\"");
    }
    if ((options.preferredProtocol ?? "UDP_OVER_TCP") !== "UDP_OVER_TCP") {
      throw sdkError("NOT_SUPPORTED", "preferredProtocol is not supported by this version of Tidegate");
    }
    const defaults = {
      micEnabled: true, webcamEnabled: true, maxResolution: "hd", multiStream: false, autoConsume: true,
    };
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    const baseUrl = options.signalingBaseUrl ?? new URL(import.meta.url).origin;
    return new Meeting({ ...defaults, ...given, mode }, { token, baseUrl });
  }

  /**
   * @param {{cameraId?: string, optimizationMode?: "motion"|"text"|"detail", encoderConfig?: string,
   *   facingMode?: "user"|"environment"}} [options] encoderConfig such as "h720p_w1280p"
   * @returns {Promise<MediaStream>}
   */
  static async createCameraVideoTrack({ cameraId, optimizationMode, encoderConfig, facingMode } = {}) {
    const constraints = webcamConstraints(cameraId, "hd", facingMode);
    if (encoderConfig) {
      const [, height, width] = /^h(\d+)p_w(\d+)p/.exec(encoderConfig) ?? [];
      if (!height) throw sdkError("INVALID_ARGUMENT", `There is no encoderConfig ${encoderConfig}`);
      Object.assign(constraints, { width: { ideal: Number(width) }, height: { ideal: Number(height) } });
    }
    const stream = await openDevices({ video: constraints });
    if (optimizationMode) stream.getVideoTracks()[0].contentHint = optimizationMode;
    return stream;
  }

  /**
   * @param {{microphoneId?: string, noiseConfig?: MediaTrackConstraints}} [options]
   * @returns {Promise<MediaStream>}
   */
  static createMicrophoneAudioTrack({ microphoneId, noiseConfig } = {}) {
    return openDevices({ audio: { ...micConstraints(microphoneId), ...noiseConfig } });
  }

  /** @param {{withAudio?: "enable"|"disable"}} [options] @returns {Promise<MediaStream>} */
  static createScreenShareVideoTrack({ withAudio = "enable" } = {}) {
    return openScreen({ audio: withAudio !== "disable" });
  }

  static getCameras() {
    return listDevices("videoinput");
  }
  static getMicrophones() {
    return listDevices("audioinput");
  }
  static getPlaybackDevices() {
    return listDevices("audiooutput");
  }
  static getDevices() {
    return listDevices();
  }
  /** @param {"audio"|"video"|"audio_video"} [kinds] */
  static checkPermissions(kinds) {
    return checkPermissions(kinds);
  }
  /** @param {"audio"|"video"|"audio_video"} [kinds] */
  static requestPermission(kinds) {
    return requestPermission(kinds);
  }

  /** Event: `device-changed` (the devices there are now). */
  static on(event, listener) {
    emitter.on(event, listener);
  }
  static off(event, listener) {
    emitter.off(event, listener);
  }
}
addUnsupported(VideoSDK, "VideoSDK");

globalThis.navigator?.mediaDevices?.addEventListener("devicechange", async () => {
  emitter.emit("device-changed", await listDevices());
});

export { Meeting, SDK_ERRORS, TidegateError };
export default VideoSDK;
