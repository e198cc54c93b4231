// An app server for Tidegate: signs tokens, creates and validates meetings. Needs Node 18 or newer, and no package.
//   TIDEGATE_URL=http://127.0.0.1:8080 TIDEGATE_API_KEY=... TIDEGATE_API_SECRET=... PORT=9000 node server.mjs
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const { TIDEGATE_URL: url = "http://127.0.0.1:8080", TIDEGATE_API_KEY: apikey, TIDEGATE_API_SECRET: secret, PORT = "9000" } = process.env;
const page = readFileSync(new URL("../page/index.html", import.meta.url));

function sign(role, permissions) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { apikey, version: 2, roles: [role], permissions, iat: now, exp: now + 7200 };
  const text = [{ alg: "HS256", typ: "JWT" }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

async function call(method, path, body) {
  const headers = { Authorization: sign("crawler", ["allow_join", "allow_mod"]), "Content-Type": "application/json" };
  const answer = await fetch(url + path, { method, headers, body }); // "crawler": REST only, that token stays here
  return [answer.status, await answer.json()];
}

async function handle(method, path) {
  if (method === "GET" && path === "/") return [200, page];
  // Ask who it is here, before you give anybody a token.
  if (method === "GET" && path === "/get-token") return [200, { token: sign("rtc", ["allow_join", "allow_mod"]), server: url }];
  if (method === "POST" && path === "/create-meeting") return call("POST", "/v2/rooms", "{}");
  const [, id] = /^\/validate-meeting\/([^/]+)$/.exec(path) ?? [];
  return method === "POST" && id ? call("GET", `/v2/rooms/validate/${id}`) : [404, { message: "no such route" }];
}

createServer(async (request, response) => {
  const [status, answer] = await handle(request.method, new URL(request.url, "http://here").pathname).catch((error) => [502, { message: error.message }]);
  response.writeHead(status, { "Content-Type": answer === page ? "text/html; charset=utf-8" : "application/json" });
  response.end(answer === page ? page : JSON.stringify(answer));
}).listen(Number(PORT), "127.0.0.1");
