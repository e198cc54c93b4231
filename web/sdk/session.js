/**
 * A participant's life on the signalling side: join, resume with backoff after a drop, the final end. One Session
 * outlives its sockets. Not here: media (publisher.js, subscriber.js) and what the events mean (meeting.js).
 */

import { Emitter } from "./emitter.js";
import { TidegateError, sdkError } from "./errors.js";
import { Signalling } from "./signalling.js";

const BACKOFF_FIRST_MS = 250;
const BACKOFF_MOST_MS = 4000;
const GIVE_UP_MS = 60000; // past the server's resume window we join anew, but a person has left by then
const SERVER_BUSY = 4098;

/** @param {number} attempt from 0 @param {number} random in [0, 1) */
export function backoffDelay(attempt, random) {
  const base = Math.min(BACKOFF_FIRST_MS * 2 ** attempt, BACKOFF_MOST_MS);
  return base * (0.75 + random / 2); // clients of a restarted server come back spread out
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Emits `event` (name, data), `dropped`, `joined-again` (join result), and once `ended` ({code, name}, error | null).
 */
export class Session extends Emitter {
  #url;
  #params;
  #open;
  /** @type {Signalling | null} */
  #signalling = null;
  #resumeToken = null;
  #ended = false;
  /** Settles when the socket is there again or never will be; null while it is there. @type {Promise<void> | null} */
  #returning = null;
  #wake = () => {};

  /**
   * @param {string} url of /v2/signal
   * @param {() => object} params of `join`, read anew at each attempt
   * @param {{open?: typeof Signalling.open}} [seams]
   */
  constructor(url, params, { open = Signalling.open } = {}) {
    super();
    this.#url = url;
    this.#params = params;
    this.#open = open;
    // A phone that changes networks says so at once; no need to sit out the backoff.
    globalThis.addEventListener?.("online", this.#onOnline);
  }

  #onOnline = () => this.#wake();

  /** @returns {Promise<any>} the result of `join` */
  async start() {
    try {
      return await this.#connect();
    } catch (error) {
      this.#ended = true;
      this.#release();
      throw error;
    }
  }

  /**
   * While the socket is away, a request waits for it.
   * @param {string} method
   * @param {object} [params]
   * @param {{signal?: AbortSignal, timeout?: number}} [options] aborted: what still waits is not sent, for who asked is
   *   gone; milliseconds that the server has to answer
   */
  async request(method, params = {}, { signal, timeout } = {}) {
    if (this.#returning) await this.#returning;
    if (signal?.aborted) throw sdkError("CONNECTION_LOST", "The connection that asked was given up");
    if (this.#ended || !this.#signalling) throw new TidegateError(4096, "NOT_JOINED", "The meeting is not joined");
    return this.#signalling.request(method, params, { timeout });
  }

  /** Leaves; never rejects, for leaving cannot fail. */
  async leave() {
    if (this.#ended) return;
    const signalling = this.#signalling;
    this.#end({ code: 1101, name: "MANUAL_LEAVE_CALLED" }, null);
    await signalling?.request("leave", {}, { timeout: 1000 }).catch(() => {});
    signalling?.close();
  }

  async #connect() {
    const signalling = await this.#open(this.#url);
    const params = { ...this.#params() };
    if (this.#resumeToken) params.resumeToken = this.#resumeToken;
    // Events that come right behind the answer find it taken in: each message is a task of its own, and between two
    // tasks every waiting promise goes on.
    signalling.on("message-event", (name, data) => this.#handle(name, data));
    let result;
    try {
      result = await signalling.request("join", params);
    } catch (error) {
      signalling.close();
      throw error;
    }
    if (this.#ended) {
      signalling.close();
      throw new TidegateError(4096, "NOT_JOINED", "The meeting was left while joining");
    }
    this.#signalling = signalling;
    this.#resumeToken = result.resumeToken;
    signalling.on("closed", ({ code, reason }) => this.#dropped(code, reason));
    return result;
  }

  #handle(name, data) {
    if (this.#ended) return;
    if (name === "left") {
      const signalling = this.#signalling;
      this.#end(data.reason, null);
      signalling?.close();
    } else if (name === "connection-error") {
      this.emit("event", "error", data);
    } else {
      this.emit("event", name, data);
    }
  }

  #dropped(code, reason) {
    this.#signalling = null;
    if (this.#ended) return;
    if (code === 1000) return this.#end({ code: 1006, name: "ROOM_CLOSE" }, null);
    if (code >= 4001 && code < 5000 && code !== SERVER_BUSY) {
      const error = new TidegateError(code, reason || "CLOSED_BY_SERVER", reason || "The server closed the connection");
      return this.#end(code === 4005 ? { code: 1011, name: "DUPLICATE_PARTICIPANT" } : { code, name: error.name }, error);
    }
    this.emit("dropped");
    this.#returning = this.#return().finally(() => {
      this.#returning = null;
    });
  }

  async #return() {
    const started = performance.now();
    for (let attempt = 0; !this.#ended && performance.now() - started < GIVE_UP_MS; attempt++) {
      if (attempt > 0) {
        const woken = new Promise((resolve) => (this.#wake = () => resolve(undefined)));
        await Promise.race([wait(backoffDelay(attempt - 1, Math.random())), woken]);
      }
      if (this.#ended) return;
      try {
        const result = await this.#connect();
        this.emit("joined-again", result);
        return;
      } catch (error) {
        const transient = error.code < 4000 || error.code === SERVER_BUSY || error.code >= 5000;
        if (!transient) return this.#end({ code: 1103, name: "JOIN_ROOM_FAILED" }, error);
      }
    }
    const error = sdkError("CONNECTION_LOST", "The server could not be reached again");
    this.#end({ code: 1102, name: "WEBSOCKET_CONNECTION_ATTEMPTS_EXHAUSTED" }, error);
  }

  #end(reason, error) {
    if (this.#ended) return;
    this.#ended = true;
    this.#release();
    this.emit("ended", reason, error);
  }

  #release() {
    globalThis.removeEventListener?.("online", this.#onOnline);
    this.#wake();
  }
}
