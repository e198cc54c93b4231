import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { Api } from "../../web/js/api.js";
import { inputMistakes } from "../../web/js/problems.js";

const { fetch } = globalThis;
afterEach(() => {
  globalThis.fetch = fetch;
});

/** A server that takes the tokens of `good` and says 401 to others. */
function server(good) {
  const asked = [];
  globalThis.fetch = async (path, { method, headers, body }) => {
    asked.push([method, path, headers.Authorization, body]);
    const ok = good.has(headers.Authorization);
    return { ok, status: ok ? 200 : 401, json: async () => (ok ? { path } : { code: 4100, message: "expired" }) };
  };
  return asked;
}

function tokens(...given) {
  let at = 0;
  return Object.assign(async () => given[at++] ?? "none", { count: () => at });
}

test("one token serves many calls, and one that has ended is asked for anew, once", async () => {
  const good = new Set(["a"]);
  const asked = server(good);
  const getToken = tokens("a", "b");
  const api = new Api(getToken);
  await Promise.all([api.get("/v2/x"), api.post("/v2/y", { n: 1 })]);
  assert.equal(getToken.count(), 1);
  good.clear();
  good.add("b");
  assert.deepEqual(await api.delete("/v2/z"), { path: "/v2/z" });
  assert.deepEqual(asked.map(([method, path, token]) => [method, path, token]), [
    ["GET", "/v2/x", "a"], ["POST", "/v2/y", "a"], ["DELETE", "/v2/z", "a"], ["DELETE", "/v2/z", "b"],
  ]);
  assert.equal(asked[1][3], '{"n":1}');
});

test("a fresh token that is refused is told, without trying for ever", async () => {
  const asked = server(new Set());
  const api = new Api(tokens("x", "y"));
  await assert.rejects(api.get("/v2/x"), { status: 401, code: 4100 });
  assert.equal(asked.length, 1);
});

test("a token that could not be got is not kept, and who signs out leaves none behind", async () => {
  server(new Set(["a", "b"]));
  let fails = true;
  const given = tokens("a", "b");
  const api = new Api(async () => {
    if (fails) throw Object.assign(new Error("away"), { status: 503 });
    return given();
  });
  await assert.rejects(api.get("/v2/x"), /away/);
  fails = false;
  await api.get("/v2/x");
  api.forget();
  await api.get("/v2/x");
  assert.equal(given.count(), 2);
});

test("mistakes are told by path: as REST lists them, as the socket says them in one sentence, or as words alone", () => {
  const errors = [{ path: "outputs[0].url", message: "is wrong" }];
  assert.deepEqual(inputMistakes({ status: 400, errors }), errors);
  const message = "config.layout.boxes[2].x: must be a number from 0 to 1; outputs[1].url: begins with rtmp: or rtmps:; no path here";
  assert.deepEqual(inputMistakes({ code: 4021, message }), [
    { path: "config.layout.boxes[2].x", message: "must be a number from 0 to 1" },
    { path: "outputs[1].url", message: "begins with rtmp: or rtmps:" },
    { path: "", message: "no path here" },
  ]);
  assert.deepEqual(inputMistakes({ code: 4018, message: "there is one already" }), [{ path: "", message: "That did not work: there is one already" }]);
});
