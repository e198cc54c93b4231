/** Who shares a screen, and who is to be shown large (who shares, else who spoke last): `presenter-changed` and `main-participant-changed` of a meeting. */

export class Presenter {
  #meeting;
  #main = null;
  /** Who of the others spoke last: a pause makes nobody else the main one. */
  #speaker = null;

  /** @param {import("./meeting.js").Meeting} meeting whose `activePresenterId` this keeps */
  constructor(meeting) {
    this.#meeting = meeting;
  }

  get mainId() {
    const { activePresenterId, participants, localParticipant } = this.#meeting;
    const speaker = participants.has(this.#speaker) ? this.#speaker : undefined;
    return activePresenterId ?? speaker ?? participants.keys().next().value ?? localParticipant.id;
  }

  /** @param {import("./participant.js").Participant} participant */
  watch(participant) {
    participant.on("media-status-changed", ({ kind }) => {
      if (kind === "share") this.follow(participant);
    });
  }

  /** Somebody came, went, or began or ended a share. @param {import("./participant.js").Participant} participant */
  follow(participant) {
    const { localParticipant, participants, activePresenterId: before } = this.#meeting;
    let presenter = before;
    if (participant.screenShareOn) presenter = participant.id;
    else if (presenter === participant.id) {
      presenter = [localParticipant, ...participants.values()].find((each) => each.screenShareOn)?.id ?? null;
    }
    this.#tell(presenter);
  }

  /** Somebody else speaks, or nobody. */
  hear() {
    const { activeSpeakerId, participants, activePresenterId } = this.#meeting;
    if (participants.has(activeSpeakerId)) this.#speaker = activeSpeakerId;
    this.#tell(activePresenterId);
  }

  /** The meeting is over. */
  end() {
    this.#tell(null);
  }

  #tell(presenter) {
    const meeting = this.#meeting;
    if (presenter !== meeting.activePresenterId) {
      meeting.activePresenterId = presenter;
      meeting.emit("presenter-changed", presenter);
    }
    const main = this.mainId;
    if (main === this.#main) return;
    this.#main = main;
    meeting.emit("main-participant-changed", meeting.participants.get(main) ?? meeting.localParticipant);
  }
}
