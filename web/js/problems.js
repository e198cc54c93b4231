/** What went wrong, in words of the catalogue. */

import { has, t } from "./i18n.js";

const NETWORK = [0, 3104, 3105, 3106];
const BUSY = [4098, 429, 503];
const BAD_TOKEN = [4001, 4002, 4008, 4053, 4101, 4102, 4103];
const NOT_YOURS = [4022, 4023];

function kindOf(code) {
  if (has(`problem.${code}.title`)) return code;
  if (NETWORK.includes(code)) return "network";
  if (BUSY.includes(code)) return "busy";
  if (BAD_TOKEN.includes(code)) return "token";
  if (NOT_YOURS.includes(code)) return "notYours";
  return "other";
}

/** @param {any} error with `code` and `message` @returns {{title: string, text: string}} */
export function problemWords(error) {
  const kind = kindOf(error.code === 404 ? 4003 : error.code);
  return { title: t(`problem.${kind}.title`), text: t(`problem.${kind}.text`, { reason: error.message }) };
}

/** @param {any} error @param {"camera"|"microphone"} device */
export function deviceWords(error, device) {
  const key = `media.${error.name}.${device}`;
  return t(has(key) ? key : `media.other.${device}`);
}

/** One line for a toast; null where nothing need be said. @param {any} error */
export function errorLine(error) {
  if (error.name === "SCREEN_SHARE_CANCELLED") return null; // who cancels knows it
  if (error.source === "mic" || error.source === "webcam") {
    return deviceWords(error, error.source === "mic" ? "microphone" : "camera");
  }
  if ([4024, 4025, 4093].includes(error.code)) return t("toast.notAllowed");
  const kind = kindOf(error.code);
  if (kind !== "other") return t(`problem.${kind}.title`);
  return t("toast.failed", { reason: error.message });
}

/**
 * What of a request is wrong: the paths of fields where the server names them, else one sentence.
 * @param {any} error of a request over the meeting's socket or REST
 * @returns {{path: string, message: string}[]}
 */
export function inputMistakes(error) {
  if (error.errors?.length) return error.errors;
  if (![4015, 4021].includes(error.code)) return [{ path: "", message: errorLine(error) ?? error.message }];
  return error.message.split("; ").map((line) => {
    const [, path = "", message = line] = /^([\w.[\]]+): (.*)$/s.exec(line) ?? [];
    return { path, message };
  });
}

/** @param {{code?: number} | undefined} reason of `meeting-left` */
export function leftWords(reason) {
  const key = `left.${reason?.code}`;
  return t(has(key) ? key : "left.other");
}
