/**
 * One WebSocket of docs/signalling.md: requests with answers, events, and noticing that the other end is gone.
 * Not here: joining, resuming and backing off (session.js).
 */

import { Emitter } from "./emitter.js";
import { TidegateError, sdkError } from "./errors.js";

const SUBPROTOCOL = "tidegate.1";
const OPEN_TIMEOUT_MS = 8000; // a server under load still accepts within this; a dead address does not
const REQUEST_TIMEOUT_MS = 10000;
const HEARTBEAT_MS = 5000; // browsers do not show WebSocket pings, so a half-open socket is found by asking
const HEARTBEAT_TIMEOUT_MS = 5000;

/**
 * Emits `message-event` (name, data) and, once, `closed` ({code, reason}).
 */
export class Signalling extends Emitter {
  #socket;
  #nextId = 1;
  /** @type {Map<number, {resolve: Function, reject: Function, timer: any}>} */
  #waiting = new Map();
  #heartbeat;
  #lastHeard = 0;
  #closed = false;

  /** @param {WebSocket} socket an open one */
  constructor(socket) {
    super();
    this.#socket = socket;
    socket.onmessage = (message) => this.#receive(message.data);
    socket.onclose = (event) => this.#finish(event.code, event.reason);
    this.#lastHeard = performance.now();
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
  }

  /**
   * @param {string} url ws(s) URL of /v2/signal
   * @param {{WebSocketClass?: typeof WebSocket}} [seams]
   * @returns {Promise<Signalling>}
   */
  static open(url, { WebSocketClass = WebSocket } = {}) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocketClass(url, SUBPROTOCOL);
      const fail = () => {
        clearTimeout(timer);
        socket.onopen = socket.onclose = null;
        socket.close();
        reject(sdkError("CONNECTION_FAILED", `The server at ${new URL(url).host} does not answer`));
      };
      const timer = setTimeout(fail, OPEN_TIMEOUT_MS);
      socket.onclose = fail;
      socket.onopen = () => {
        clearTimeout(timer);
        resolve(new Signalling(socket));
      };
    });
  }

  /**
   * @param {string} method
   * @param {object} [params]
   * @param {{timeout?: number}} [options] milliseconds
   * @returns {Promise<any>} the result
   */
  request(method, params = {}, { timeout = REQUEST_TIMEOUT_MS } = {}) {
    if (this.#closed) return Promise.reject(sdkError("CONNECTION_LOST", "The connection to the server was lost"));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(sdkError("REQUEST_TIMEOUT", `The server did not answer "${method}" in time`));
      }, timeout);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  /** Closes politely: for the server the participant has left at once. */
  close() {
    if (this.#closed) return;
    this.#socket.close(1000);
    this.#finish(1000, "");
  }

  /** Gives the socket up without a word: for the server it dropped. */
  drop() {
    if (this.#closed) return;
    this.#finish(1006, "no answer from the server");
    this.#socket.close(4000, "no answer"); // not 1000 or 1001, which would mean leaving
  }

  #receive(data) {
    this.#lastHeard = performance.now();
    const message = JSON.parse(data);
    if (message.event !== undefined) {
      this.emit("message-event", message.event, message.data ?? {});
      return;
    }
    const waiting = this.#waiting.get(message.id);
    if (!waiting) {
      // An error without an id is about the connection itself; the server closes it next.
      if (message.error) this.emit("message-event", "connection-error", message.error);
      return;
    }
    this.#waiting.delete(message.id);
    clearTimeout(waiting.timer);
    if (message.error) {
      waiting.reject(new TidegateError(message.error.code, message.error.name, message.error.message));
    } else {
      waiting.resolve(message.result ?? {});
    }
  }

  #beat() {
    if (performance.now() - this.#lastHeard < HEARTBEAT_MS) return;
    this.request("ping", {}, { timeout: HEARTBEAT_TIMEOUT_MS }).catch((error) => {
      // An error answer is an answer: the server lives (before joining it says NOT_JOINED).
      if (error.name === "REQUEST_TIMEOUT") this.drop();
    });
  }

  #finish(code, reason) {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#heartbeat);
    this.#socket.onmessage = this.#socket.onclose = null;
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(sdkError("CONNECTION_LOST", "The connection to the server was lost"));
    }
    this.#waiting.clear();
    this.emit("closed", { code, reason });
  }
}
