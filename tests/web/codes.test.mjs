import assert from "node:assert/strict";
import { test } from "node:test";

import { faceOf, meetingPath, roomOf, safeNext } from "../../web/js/codes.js";

const HERE = "https://meet.example";

test("a code or a link of this server leads to the meeting, with its token", () => {
  assert.equal(meetingPath(" abcd-efgh-ijkl ", HERE), "/meeting/abcd-efgh-ijkl");
  assert.equal(meetingPath("my.room_1", HERE), "/meeting/my.room_1");
  assert.equal(meetingPath(`${HERE}/meeting/abcd-efgh-ijkl#token=a.b.c`, HERE), "/meeting/abcd-efgh-ijkl#token=a.b.c");
});

test("nothing else leads anywhere", () => {
  for (const typed of ["", "   ", "a b", "../console", "//evil.example", "javascript:alert(1)", `${HERE}/docs`,
    "https://evil.example/meeting/abcd-efgh-ijkl", `${HERE}/meeting/`, `${HERE}/meeting/a/b`, "a/b", "?x", "#x"]) {
    assert.equal(meetingPath(typed, HERE), null, typed);
  }
});

test("a meeting page's room is read from its address, whatever stands there", () => {
  assert.equal(roomOf("/meeting/abcd-efgh-ijkl"), "abcd-efgh-ijkl");
  assert.equal(roomOf("/meeting/caf%C3%A9"), "café");
  assert.equal(roomOf("/meeting/%E0%A4%A"), "%E0%A4%A");
  assert.equal(roomOf("/"), "");
});

test("after signing in one goes to a meeting here and nowhere else", () => {
  assert.equal(safeNext("/meeting/abcd-efgh-ijkl"), "/meeting/abcd-efgh-ijkl");
  for (const next of [null, "", "//evil.example", "/\\evil.example", "https://evil.example/meeting/x", "/meeting/../x", "/meeting/a?b"]) {
    assert.equal(safeNext(next), null, String(next));
  }
});

test("a face has the first letters of the first and last name, and always the same hue", () => {
  assert.equal(faceOf("Ada Lovelace").initials, "AL");
  assert.equal(faceOf("Ada King Lovelace").initials, "AL");
  assert.equal(faceOf("ada").initials, "A");
  assert.equal(faceOf("  ").initials, "?");
  assert.equal(faceOf("😀 Z").initials, "😀Z");
  assert.equal(faceOf("Ada").hue, faceOf("Ada").hue);
  assert.notEqual(faceOf("Ada").hue, faceOf("Bob").hue);
});
