import assert from "node:assert/strict";
import { test } from "node:test";

import { Session } from "../../web/sdk/session.js";
import { Signalling } from "../../web/sdk/signalling.js";
import { Emitter } from "../../web/sdk/emitter.js";
import { TidegateError, sdkError } from "../../web/sdk/errors.js";

/** A WebSocket whose other end is the test. */
class FakeSocket {
  sent = [];
  closedWith = null;
  static last = null;
  constructor(url, protocol) {
    Object.assign(this, { url, protocol });
    FakeSocket.last = this;
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close(code) {
    this.closedWith = code ?? 1005;
  }
  say(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }
}

async function opened() {
  const opening = Signalling.open("ws://server/v2/signal", { WebSocketClass: FakeSocket });
  FakeSocket.last.onopen();
  return { signalling: await opening, socket: FakeSocket.last };
}

test("answers find their requests whatever their order, errors become ours", async () => {
  const { signalling, socket } = await opened();
  assert.equal(socket.protocol, "tidegate.1");
  const first = signalling.request("announce", { source: "mic" });
  const second = signalling.request("publish");
  assert.deepEqual(socket.sent.map(({ id, method }) => [id, method]), [[1, "announce"], [2, "publish"]]);
  socket.say({ id: 2, error: { code: 4090, name: "INVALID_SDP", message: "no" } });
  socket.say({ id: 1, result: { trackId: "TR_1" } });
  assert.deepEqual(await first, { trackId: "TR_1" });
  await assert.rejects(second, (error) => error instanceof TidegateError && error.code === 4090 && error.name === "INVALID_SDP");
  signalling.close();
  assert.equal(socket.closedWith, 1000);
});

test("events and errors without a request are passed on; answers to nothing are ignored", async () => {
  const { signalling, socket } = await opened();
  const seen = [];
  signalling.on("message-event", (name, data) => seen.push([name, data]));
  socket.say({ event: "participant-left", data: { participantId: "a" } });
  socket.say({ event: "left" });
  socket.say({ id: null, error: { code: 4091, name: "TOO_MUCH", message: "" } });
  socket.say({ id: 99, result: {} });
  assert.deepEqual(seen, [
    ["participant-left", { participantId: "a" }],
    ["left", {}],
    ["connection-error", { code: 4091, name: "TOO_MUCH", message: "" }],
  ]);
  signalling.close();
});

test("a closed socket rejects what waits, once, and refuses the rest", async () => {
  const { signalling, socket } = await opened();
  const closed = [];
  signalling.on("closed", (event) => closed.push(event));
  const waiting = signalling.request("publish");
  socket.onclose({ code: 1006, reason: "" });
  await assert.rejects(waiting, { name: "CONNECTION_LOST" });
  await assert.rejects(signalling.request("mute"), { name: "CONNECTION_LOST" });
  signalling.close();
  signalling.drop();
  assert.deepEqual(closed, [{ code: 1006, reason: "" }]);
});

test("an address that refuses is an error that says which", async () => {
  const opening = Signalling.open("ws://server:1/v2/signal", { WebSocketClass: FakeSocket });
  FakeSocket.last.onclose();
  await assert.rejects(opening, { name: "CONNECTION_FAILED", message: /server:1/ });
});

test("a server that says nothing is given up after a heartbeat without answer", async (context) => {
  context.mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
  const { signalling, socket } = await opened();
  const closed = [];
  signalling.on("closed", ({ code }) => closed.push(code));
  const later = context.mock.method(performance, "now", () => 1e9);
  context.mock.timers.tick(5000);
  assert.equal(socket.sent.at(-1).method, "ping");
  context.mock.timers.tick(5000);
  await Promise.resolve().then(() => {}).then(() => {});
  assert.deepEqual(closed, [1006]);
  assert.notEqual(socket.closedWith, 1000); // which would mean leaving
  later.mock.restore();
});

/** A Signalling whose answers are the test's. */
class FakeSignalling extends Emitter {
  requests = [];
  closed = false;
  constructor(answers) {
    super();
    this.answers = answers;
  }
  async request(method, params) {
    this.requests.push([method, params]);
    const answer = this.answers[method];
    if (answer instanceof Error) throw answer;
    return answer ?? {};
  }
  close() {
    this.closed = true;
  }
}

function sessionOver(...signallings) {
  const left = [...signallings];
  const open = async () => {
    const next = left.shift();
    if (!next) throw sdkError("CONNECTION_FAILED", "nobody there");
    return next;
  };
  const session = new Session("ws://server/v2/signal", () => ({ token: "t", roomId: "r" }), { open });
  const seen = [];
  for (const event of ["event", "dropped", "joined-again", "ended"]) session.on(event, (...args) => seen.push([event, ...args]));
  return { session, seen };
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
const joined = (resumed = false) => ({ join: { resumeToken: "secret", resumed } });

test("a dropped socket is resumed with its token, and what was asked meanwhile goes to the new one", async () => {
  const [first, second] = [new FakeSignalling(joined()), new FakeSignalling(joined(true))];
  const { session, seen } = sessionOver(first, second);
  await session.start();
  assert.deepEqual(first.requests, [["join", { token: "t", roomId: "r" }]]);
  first.emit("closed", { code: 1006, reason: "" });
  await session.request("mute", { trackId: "x", muted: true });
  assert.deepEqual(second.requests, [["join", { token: "t", roomId: "r", resumeToken: "secret" }], ["mute", { trackId: "x", muted: true }]]);
  assert.deepEqual(seen.map(([name]) => name), ["dropped", "joined-again"]);
});

test("what waits for the socket and is given up meanwhile is not sent", async () => {
  const [first, second] = [new FakeSignalling(joined()), new FakeSignalling(joined())];
  const { session } = sessionOver(first, second);
  await session.start();
  first.emit("closed", { code: 1006, reason: "" });
  const gone = new AbortController();
  session.on("joined-again", () => gone.abort());
  await assert.rejects(session.request("mute", { trackId: "x", muted: true }, { signal: gone.signal }), { name: "CONNECTION_LOST" });
  assert.deepEqual(second.requests.map(([method]) => method), ["join"]);
});

test("being put out ends it, and no later close is taken for a drop", async () => {
  const first = new FakeSignalling(joined());
  const { session, seen } = sessionOver(first);
  await session.start();
  first.emit("message-event", "left", { reason: { code: 1008, name: "REMOVE_ALL" } });
  first.emit("closed", { code: 1000, reason: "" });
  assert.deepEqual(seen, [["ended", { code: 1008, name: "REMOVE_ALL" }, null]]);
  assert.ok(first.closed);
  await assert.rejects(session.request("mute"), { name: "NOT_JOINED" });
});

test("leaving says so, ends at once and cannot fail", async () => {
  const first = new FakeSignalling({ ...joined(), leave: sdkError("REQUEST_TIMEOUT", "") });
  const { session, seen } = sessionOver(first);
  await session.start();
  await session.leave();
  await session.leave();
  assert.deepEqual(seen, [["ended", { code: 1101, name: "MANUAL_LEAVE_CALLED" }, null]]);
  assert.ok(first.closed);
  assert.equal(first.requests.at(-1)[0], "leave");
});

test("a close with an error's code is an end with that error; a duplicate is told as one", async () => {
  for (const [code, reason, name] of [[4100, "TOKEN_EXPIRED", "TOKEN_EXPIRED"], [4005, "DUPLICATE_PARTICIPANT", "DUPLICATE_PARTICIPANT"]]) {
    const first = new FakeSignalling(joined());
    const { session, seen } = sessionOver(first);
    await session.start();
    first.emit("closed", { code, reason });
    assert.equal(seen[0][0], "ended");
    assert.equal(seen[0][1].name, name);
  }
});

test("a join that is refused is thrown", async () => {
  const refused = new FakeSignalling({ join: new TidegateError(4100, "TOKEN_EXPIRED", "") });
  const { session, seen } = sessionOver(refused);
  await assert.rejects(session.start(), { code: 4100 });
  assert.ok(refused.closed);
  assert.deepEqual(seen, []);
});

test("coming back to a refusal ends it with that error", async () => {
  const first = new FakeSignalling(joined());
  const refused = new FakeSignalling({ join: new TidegateError(4052, "MEETING_ID_DISABLED", "") });
  const { session, seen } = sessionOver(first, refused);
  await session.start();
  first.emit("closed", { code: 1006, reason: "" });
  await settle();
  const [, reason, error] = seen.at(-1);
  assert.deepEqual([reason.code, error.code], [1103, 4052]);
});
