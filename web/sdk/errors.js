/**
 * The one error type of the SDK, and the SDK's own codes (3xxx). Codes of the server (4xxx, 5xxx) pass through as they
 * came; docs/signalling.md lists them. Not here: what a page says about an error, which is the page's affair.
 */

/** Codes the SDK itself makes. Their names are stable, their messages are for people who read logs. */
export const SDK_ERRORS = Object.freeze({
  NOT_SUPPORTED: 3101,
  INVALID_ARGUMENT: 3102,
  CONNECTION_FAILED: 3104,
  CONNECTION_LOST: 3105,
  REQUEST_TIMEOUT: 3106,
  PERMISSION_DENIED: 3111,
  DEVICE_NOT_FOUND: 3112,
  DEVICE_IN_USE: 3113,
  DEVICE_CONSTRAINTS: 3114,
  INSECURE_CONTEXT: 3115,
  SCREEN_SHARE_CANCELLED: 3116,
  MEDIA_FAILED: 3117,
  DEVICE_LOST: 3118,
});

/** What every rejected promise and every `error` event carries. */
export class TidegateError extends Error {
  /**
   * @param {number} code stable number
   * @param {string} name stable name, such as `INVALID_TOKEN`
   * @param {string} message for people
   * @param {unknown} [cause] what the browser said
   */
  constructor(code, name, message, cause) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = name;
    this.code = code;
    /** Which device or source it is about, where it is about one. @type {"mic"|"webcam"|undefined} */
    this.source = undefined;
  }
}

/**
 * @param {keyof typeof SDK_ERRORS} name
 * @param {string} message
 * @param {unknown} [cause]
 */
export function sdkError(name, message, cause) {
  return new TidegateError(SDK_ERRORS[name], name, message, cause);
}

// The DOMException names of getUserMedia and getDisplayMedia (Media Capture and Streams, section 10.2).
const MEDIA_ERRORS = {
  NotAllowedError: ["PERMISSION_DENIED", "The browser or the person did not allow the use of the device"],
  SecurityError: ["PERMISSION_DENIED", "The page may not use media devices"],
  NotFoundError: ["DEVICE_NOT_FOUND", "There is no such device"],
  NotReadableError: ["DEVICE_IN_USE", "The device could not be opened; another program may be using it"],
  AbortError: ["DEVICE_IN_USE", "The device could not be opened"],
  OverconstrainedError: ["DEVICE_CONSTRAINTS", "No device satisfies what was asked for"],
};

/**
 * Turns what a browser's media call threw into our error.
 * @param {unknown} thrown
 * @param {{screen?: boolean}} [what]
 */
export function mediaError(thrown, { screen = false } = {}) {
  if (thrown instanceof TidegateError) return thrown;
  const [name, message] = MEDIA_ERRORS[/** @type {any} */ (thrown)?.name] ?? ["MEDIA_FAILED", String(thrown)];
  if (screen && name === "PERMISSION_DENIED") {
    return sdkError("SCREEN_SHARE_CANCELLED", "The screen share was cancelled or not allowed", thrown);
  }
  return sdkError(/** @type {any} */ (name), message, thrown);
}
