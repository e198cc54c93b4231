import assert from "node:assert/strict";
import { test } from "node:test";

import { Emitter } from "../../web/sdk/emitter.js";
import { HANDLERS } from "../../web/sdk/events.js";
import { TidegateError } from "../../web/sdk/errors.js";
import { Presenter } from "../../web/sdk/presenter.js";

class Somebody extends Emitter {
  screenShareOn = false;
  constructor(id) {
    super();
    this.id = id;
  }
  share(on) {
    this.screenShareOn = on;
    this.emit("media-status-changed", { kind: "share", newStatus: on });
  }
}

function meeting(...ids) {
  const made = Object.assign(new Emitter(), { activePresenterId: null, localParticipant: new Somebody("me"), participants: new Map() });
  const presenter = new Presenter(made);
  const seen = [];
  made.on("presenter-changed", (id) => seen.push(["presenter", id]));
  made.on("main-participant-changed", ({ id }) => seen.push(["main", id]));
  presenter.watch(made.localParticipant);
  const others = ids.map((id) => {
    const other = new Somebody(id);
    made.participants.set(id, other);
    presenter.watch(other);
    presenter.follow(other);
    return other;
  });
  return { made, presenter, seen, others };
}

test("the latest share is the one shown, and after it the one before", () => {
  const { made, seen, others: [ada, bob] } = meeting("ada", "bob");
  ada.share(true);
  bob.share(true);
  bob.share(false);
  ada.share(false);
  assert.deepEqual(seen, [
    ["main", "ada"], ["presenter", "ada"],
    ["presenter", "bob"], ["main", "bob"],
    ["presenter", "ada"], ["main", "ada"],
    ["presenter", null],
  ]);
  assert.equal(made.activePresenterId, null);
});

test("who leaves presents no more, and an ended meeting has nobody large", () => {
  const { made, presenter, seen, others: [ada] } = meeting("ada", "bob");
  ada.share(true);
  made.participants.delete("ada");
  ada.share(false);
  presenter.follow(ada);
  assert.deepEqual(seen.slice(-2), [["presenter", null], ["main", "bob"]]);
  made.participants.clear();
  presenter.end();
  assert.deepEqual(seen.at(-1), ["main", "me"]);
});

test("a moderator can ask for microphone and camera, and for nothing else", async () => {
  const { made } = meeting();
  const seen = [];
  for (const event of ["mic-requested", "webcam-requested"]) made.on(event, ({ participantId }) => seen.push([event, participantId]));
  for (const source of ["mic", "webcam", "screen", "screenAudio"]) {
    await HANDLERS.moderated.call({ meeting: made }, { source, enabled: true, by: "bob" });
  }
  assert.deepEqual(seen, [["mic-requested", "bob"], ["webcam-requested", "bob"]]);
});

test("what the server says of the connection itself is an error like any other, and strangers are no event", () => {
  const { made } = meeting();
  const seen = [];
  made.on("error", (error) => seen.push(error));
  made.on("participant-disconnected", (participant) => seen.push(participant));
  HANDLERS.error.call({ meeting: made }, { code: 4091, name: "TOO_MUCH", message: "slower" });
  HANDLERS["participant-disconnected"].call({ meeting: made }, { participantId: "nobody" });
  assert.equal(seen.length, 1);
  assert.ok(seen[0] instanceof TidegateError);
  assert.deepEqual([seen[0].code, seen[0].name, seen[0].message], [4091, "TOO_MUCH", "slower"]);
});
