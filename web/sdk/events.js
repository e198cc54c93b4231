/**
 * What each event of docs/signalling.md means to a meeting. `this` is the small surface that Meeting hands out for it
 * (its `#inside`), so that no public method is there for the protocol's sake.
 */

import { TidegateError } from "./errors.js";
import { KIND_OF_SOURCE } from "./stream.js";

export const HANDLERS = {
  "participant-joined"(info) {
    this.addParticipant(info);
  },
  "participant-left"({ participantId, reason }) {
    this.dropParticipant(participantId, reason);
  },
  "participant-updated"(info) {
    const { localParticipant, participants } = this.meeting;
    const participant = participants.get(info.participantId) ?? localParticipant;
    if (participant.id !== info.participantId) return;
    participant.describe(info);
    this.meeting.emit("participant-updated", participant);
  },
  "participant-disconnected"({ participantId }) {
    const participant = this.meeting.participants.get(participantId);
    if (participant) this.meeting.emit("participant-disconnected", participant);
  },
  "participant-reconnected"({ participantId }) {
    const participant = this.meeting.participants.get(participantId);
    if (participant) this.meeting.emit("participant-reconnected", participant);
  },
  "track-published"({ participantId, track }) {
    this.meeting.participants.get(participantId)?.addTrack(track);
    this.applyReceived();
  },
  "track-unpublished"({ participantId, trackId }) {
    this.meeting.participants.get(participantId)?.removeTrack(trackId);
  },
  "track-muted"({ participantId, trackId, muted }) {
    this.meeting.participants.get(participantId)?.setMuted(trackId, muted);
  },
  "speaker-changed"({ participantId }) {
    this.meeting.changeSpeaker(participantId);
    this.presenter.hear();
  },
  "pin-state-changed"(pin) {
    this.meeting.changePin(pin);
  },
  "recording-state-changed"(value) {
    this.meeting.changeState("recording", value);
  },
  "livestream-state-changed"(value) {
    this.meeting.changeState("livestream", value);
  },
  "subscribe-offer"(offer) {
    return this.connections.handleOffer(offer);
  },
  async moderated({ source, enabled, by }) {
    const isMic = source === "mic";
    if (!enabled) {
      await (source.startsWith("screen") ? this.media.stopScreen() : this.media.turnOff(source, { tell: false }));
      this.meeting.emit("moderated", { kind: KIND_OF_SOURCE[source], by });
      return;
    }
    if (!isMic && source !== "webcam") return; // nobody can start the screen of somebody else, or has an event for it
    const accept = () => (isMic ? this.meeting.unmuteMic() : this.meeting.enableWebcam());
    this.meeting.emit(isMic ? "mic-requested" : "webcam-requested", { participantId: by, accept, reject: async () => {} });
  },
  async "grants-changed"({ grants }) {
    this.setGrants(grants);
    await this.media.dropDisallowed(grants.publish ?? []);
    this.meeting.emit("grants-changed", grants);
  },
  connection({ connection, state }) {
    if (state !== "failed") return undefined;
    this.connections.drop(connection);
    return connection === "publish" ? this.publishAll() : undefined;
  },
  error({ code, name, message }) {
    this.meeting.emit("error", new TidegateError(code, name, message));
  },
};
