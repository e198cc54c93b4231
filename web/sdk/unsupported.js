/**
 * What the reference's SDK has and this version does not. Each such method is there and rejects by name, so that code
 * written for the reference fails with a reason and not with "is not a function".
 */

import { sdkError } from "./errors.js";

export const UNSUPPORTED = Object.freeze({
  VideoSDK: ["runPreCallTest", "setKeyProvider", "getNetworkStats", "setLogLevel"],
  Meeting: [
    "switchTo", "changeMode", "respondEntry",
    "startHls", "stopHls",
    "startTranscription", "stopTranscription", "startWhiteboard", "stopWhiteboard",
    "send", "uploadBase64File", "fetchBase64File", "requestMediaRelay", "stopMediaRelay",
    "enableAdaptiveSubscription", "disableAdaptiveSubscription",
  ],
  Participant: ["renderVideo", "renderAudio", "getTransportStats"],
  PubSub: ["publish", "subscribe", "unsubscribe"],
  RealtimeStore: ["setValue", "getValue", "observe", "stopObserving"],
});

/**
 * Puts the methods of one list onto an object or a class's prototype.
 * @param {object} target
 * @param {keyof typeof UNSUPPORTED} owner
 */
export function addUnsupported(target, owner) {
  for (const method of UNSUPPORTED[owner]) {
    Object.defineProperty(target, method, {
      value: async () => {
        throw sdkError("NOT_SUPPORTED", `${owner}.${method}() is not supported by this version of Tidegate`);
      },
    });
  }
}
