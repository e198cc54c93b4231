/**
 * The subscribe connection: the server offers, the client answers. Turns the table of each offer into received tracks.
 */

import { PathGuard, Sequence, makeConnection } from "./peer.js";

/**
 * @typedef {object} ReceivedTrack
 * @property {string} trackId
 * @property {string} participantId
 * @property {MediaStreamTrack} track
 * @property {RTCRtpReceiver} receiver
 */

export class Subscriber {
  #request;
  #pc;
  #guard;
  #onTracks;
  #sequence = new Sequence();
  #closing = new AbortController();

  /**
   * @param {(method: string, params?: object, options?: {signal?: AbortSignal}) => Promise<any>} request
   * @param {RTCIceServer[]} iceServers
   * @param {(state: RTCPeerConnectionState) => void} onState
   * @param {(tracks: ReceivedTrack[]) => void} onTracks the whole table, at each change
   */
  constructor(request, iceServers, onState, onTracks) {
    this.#request = (method, params) => request(method, params, { signal: this.#closing.signal });
    this.#onTracks = onTracks;
    this.#pc = makeConnection(iceServers);
    this.#guard = new PathGuard(this.#pc, () => this.restart(), onState);
  }

  /** @param {{sdp: string, serial: number, tracks: {mid: string, trackId: string, participantId: string}[]}} offer */
  handleOffer({ sdp, serial, tracks }) {
    return this.#sequence.run(async () => {
      try {
        await this.#answer(sdp, serial, tracks);
      } catch (error) {
        if (!this.#closing.signal.aborted) throw error; // of a connection that was closed meanwhile nobody misses it
      }
    });
  }

  async restart() {
    await this.#request("restart-subscribe");
  }

  close() {
    this.#closing.abort();
    this.#guard.stop();
    this.#pc.close();
  }

  async #answer(sdp, serial, tracks) {
    const pc = this.#pc;
    await pc.setRemoteDescription({ type: "offer", sdp });
    await pc.setLocalDescription(await pc.createAnswer());
    const byMid = new Map(pc.getTransceivers().map((transceiver) => [transceiver.mid, transceiver]));
    if (this.#closing.signal.aborted) return;
    // Told before the server hears the answer: a page attaches its element before the first frame comes.
    this.#onTracks(
      tracks
        .filter(({ mid }) => byMid.has(mid))
        .map(({ mid, trackId, participantId }) => {
          const receiver = /** @type {RTCRtpTransceiver} */ (byMid.get(mid)).receiver;
          return { trackId, participantId, track: receiver.track, receiver };
        }),
    );
    await this.#request("subscribe-answer", { sdp: pc.localDescription?.sdp, serial });
  }
}
