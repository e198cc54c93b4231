/** Cameras, microphones, speakers, screens: listing, permission, opening. Works without a meeting. */

import { RESOLUTIONS } from "./encodings.js";
import { mediaError, sdkError } from "./errors.js";

const AUDIO_PROCESSING = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const SCREEN_MOST = { width: { max: 1920 }, height: { max: 1080 }, frameRate: { ideal: 15, max: 30 } };

function mediaDevices() {
  if (!globalThis.navigator?.mediaDevices) {
    throw sdkError("INSECURE_CONTEXT", "Browsers give camera and microphone only to pages from https or localhost");
  }
  return navigator.mediaDevices;
}

/**
 * @param {MediaDeviceKind} [kind]
 * @returns {Promise<MediaDeviceInfo[]>} labels are empty until permission was given
 */
export async function listDevices(kind) {
  const devices = await mediaDevices().enumerateDevices();
  return devices.filter((device) => !kind || device.kind === kind);
}

/**
 * Opens what is asked for with one permission prompt.
 * @param {{audio?: MediaTrackConstraints | false, video?: MediaTrackConstraints | false}} wanted
 * @returns {Promise<MediaStream>}
 */
export async function openDevices({ audio = false, video = false }) {
  try {
    return await mediaDevices().getUserMedia({ audio, video });
  } catch (error) {
    throw mediaError(error);
  }
}

/**
 * @param {ConstrainDOMString} [deviceId] a string is a demand, {ideal: string} a wish
 * @returns {MediaTrackConstraints}
 */
export function micConstraints(deviceId) {
  return { ...AUDIO_PROCESSING, ...device(deviceId) };
}

/**
 * @param {ConstrainDOMString} [deviceId] a string is a demand, {ideal: string} a wish
 * @param {keyof typeof RESOLUTIONS} [quality]
 * @param {string} [facingMode]
 * @returns {MediaTrackConstraints}
 */
export function webcamConstraints(deviceId, quality = "hd", facingMode) {
  const size = RESOLUTIONS[quality] ?? RESOLUTIONS.hd;
  return {
    width: { ideal: size.width },
    height: { ideal: size.height },
    frameRate: { ideal: size.frameRate },
    ...device(deviceId),
    ...(facingMode && !deviceId ? { facingMode: { ideal: facingMode } } : {}),
  };
}

const device = (id) => (id ? { deviceId: typeof id === "string" ? { exact: id } : id } : {});

/**
 * Asks the person for a screen, a window or a tab, with its sound where the browser can.
 * @param {{audio?: boolean}} [options]
 * @returns {Promise<MediaStream>}
 */
export async function openScreen({ audio = true } = {}) {
  const devices = mediaDevices();
  if (!devices.getDisplayMedia) {
    throw sdkError("NOT_SUPPORTED", "This browser cannot share its screen");
  }
  try {
    return await devices.getDisplayMedia({ video: SCREEN_MOST, audio });
  } catch (error) {
    throw mediaError(error, { screen: true });
  }
}

/**
 * @param {MediaStream | MediaStreamTrack | null | undefined} given
 * @param {"audio"|"video"} kind
 * @returns {MediaStreamTrack | null}
 */
export function trackOf(given, kind) {
  if (!given) return null;
  const track = "getTracks" in given ? given.getTracks().find((each) => each.kind === kind) : given;
  if (!track || track.kind !== kind) throw sdkError("INVALID_ARGUMENT", `The custom track is not of kind ${kind}`);
  return track;
}

/**
 * Whether permission has been given already, without asking.
 * @param {"audio"|"video"|"audio_video"} [kinds]
 * @returns {Promise<Map<string, boolean>>}
 */
export async function checkPermissions(kinds = "audio_video") {
  const found = new Map();
  for (const kind of kinds.split("_")) {
    const name = /** @type {PermissionName} */ (kind === "audio" ? "microphone" : "camera");
    try {
      found.set(kind, (await navigator.permissions.query({ name })).state === "granted");
    } catch {
      // Firefox before 131 does not know these names; a label is shown only to pages with permission.
      const devices = await listDevices(kind === "audio" ? "audioinput" : "videoinput");
      found.set(kind, devices.some((device) => device.label !== ""));
    }
  }
  return found;
}

/**
 * Asks for permission, and closes the devices again.
 * @param {"audio"|"video"|"audio_video"} [kinds]
 * @returns {Promise<Map<string, boolean>>}
 */
export async function requestPermission(kinds = "audio_video") {
  const found = new Map();
  for (const kind of kinds.split("_")) {
    try {
      const stream = await openDevices({ [kind]: kind === "audio" ? micConstraints() : webcamConstraints() });
      stream.getTracks().forEach((track) => track.stop());
      found.set(kind, true);
    } catch (error) {
      if (error.name !== "PERMISSION_DENIED") throw error;
      found.set(kind, false);
    }
  }
  return found;
}
