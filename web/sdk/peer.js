/**
 * What both peer connections share: making one, and noticing that its path died. Not here: offers and answers.
 */

const DISCONNECTED_PATIENCE_MS = 3000; // most losses of consent heal by themselves within it
const RESTART_PAUSE_MS = 4000; // an ICE restart gets this long before the next is tried

/** @param {RTCIceServer[]} iceServers */
export function makeConnection(iceServers) {
  return new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" });
}

/** Calls `restart` when the connection fails, again and again until it stands; tells `onState` of every change. */
export class PathGuard {
  #pc;
  #restart;
  #timer = null;

  /**
   * @param {RTCPeerConnection} pc
   * @param {() => Promise<void>} restart
   * @param {(state: RTCPeerConnectionState) => void} onState
   */
  constructor(pc, restart, onState) {
    this.#pc = pc;
    this.#restart = restart;
    pc.addEventListener("connectionstatechange", () => {
      onState(pc.connectionState);
      this.#consider();
    });
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#restart = async () => {};
  }

  #consider() {
    const state = this.#pc.connectionState;
    if (state === "failed") this.#arm(0);
    else if (state === "disconnected") this.#arm(DISCONNECTED_PATIENCE_MS);
    else if (state === "connected" || state === "closed") {
      clearTimeout(this.#timer);
      this.#timer = null;
    }
  }

  #arm(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      // A restart that cannot be asked for (the signalling is away too) is tried again like one that did not help.
      await this.#restart().catch(() => {});
      if (this.#timer !== null && this.#pc.connectionState !== "connected") this.#arm(RESTART_PAUSE_MS);
    }, delay);
  }
}

/** Runs async functions one after the other; one that fails does not stop the next. */
export class Sequence {
  #last = Promise.resolve();

  /**
   * @template T
   * @param {() => Promise<T>} task
   * @returns {Promise<T>}
   */
  run(task) {
    const result = this.#last.then(task);
    this.#last = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }
}
