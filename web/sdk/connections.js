/**
 * The two peer connections of a participant and whether all that carries a meeting is up: made when first needed,
 * thrown away when the server has forgotten them.
 */

import { Emitter } from "./emitter.js";
import { Publisher } from "./publisher.js";
import { Subscriber } from "./subscriber.js";

const RESUME_CHECK_MS = 2000; // an offer that was on its way when the socket dropped has come again by then

/**
 * Emits `state` when `up` may have changed, and `received` when the received tracks have.
 */
export class Connections extends Emitter {
  #session;
  #iceServers = [];
  /** @type {Publisher | null} */
  #publisher = null;
  /** @type {Subscriber | null} */
  #subscriber = null;
  /** Which connection of the server the subscriber talks to. @type {string | null} */
  #connectionId = null;
  #signalled = false;
  /** Peer connections that are down. @type {Set<string>} */
  #down = new Set();

  /** @param {import("./session.js").Session} session */
  constructor(session) {
    super();
    this.#session = session;
    /** The last table of the subscribe connection. @type {import("./subscriber.js").ReceivedTrack[]} */
    this.received = [];
    session.on("dropped", () => {
      this.#signalled = false;
      this.emit("state");
    });
  }

  /** Signalling is there, and no peer connection has lost its path. */
  get up() {
    return this.#signalled && this.#down.size === 0;
  }

  /** @param {RTCIceServer[]} iceServers from the answer to `join` */
  begin(iceServers) {
    this.#iceServers = iceServers;
    this.#signalled = true;
    this.emit("state");
  }

  /** @returns {Publisher | null} a new one, or null where there is one or nobody to publish to */
  openPublisher() {
    if (!this.#signalled || this.#publisher) return null;
    this.#publisher = new Publisher(this.#request, this.#iceServers, (state) => this.#watch("publish", state));
    return this.#publisher;
  }

  /**
   * Whether the server still has all that is published here.
   * @param {Set<string>} trackIds that it told
   */
  isKnown(trackIds) {
    return (this.#publisher?.trackIds ?? []).every((trackId) => trackIds.has(trackId));
  }

  /** @param {string} source */
  sender(source) {
    return this.#publisher?.sender(source) ?? null;
  }

  /** @param {any} offer `subscribe-offer` of docs/signalling.md */
  handleOffer(offer) {
    if (offer.connectionId !== this.#connectionId) this.drop("subscribe");
    this.#connectionId = offer.connectionId;
    this.#subscriber ??= new Subscriber(
      this.#request,
      this.#iceServers,
      (state) => this.#watch("subscribe", state),
      (received) => {
        this.received = received;
        this.emit("received");
      },
    );
    return this.#subscriber.handleOffer(offer);
  }

  /** The server has forgotten a connection: its DTLS is gone, so another must be made. @param {"publish"|"subscribe"} connection */
  drop(connection) {
    if (connection === "publish") {
      this.#publisher?.close();
      this.#publisher = null;
    } else {
      this.#subscriber?.close();
      this.#subscriber = null;
    }
    if (this.#down.delete(connection)) this.emit("state");
  }

  /**
   * After the signalling was resumed: asks again for what may have been lost while it was away.
   * @param {() => boolean} misses whether a track is known that does not arrive
   */
  async recover(misses) {
    await this.#publisher?.recover();
    await new Promise((resolve) => setTimeout(resolve, RESUME_CHECK_MS));
    if (this.#signalled && this.#subscriber && misses()) await this.#subscriber.restart();
  }

  close() {
    this.#publisher?.close();
    this.#subscriber?.close();
    this.#publisher = this.#subscriber = null;
    this.#signalled = false;
    this.#down.clear();
    this.received = [];
    this.emit("received");
  }

  #request = (method, params, options) => this.#session.request(method, params, options);

  #watch(connection, state) {
    if (state === "failed" || state === "disconnected") this.#down.add(connection);
    if (state === "connected" || state === "closed") this.#down.delete(connection);
    this.emit("state");
  }
}
