/** Your app server: it signs tokens, and makes and checks meetings. The secret stays here. Node 18 or newer, no packages. */
import { createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const { TIDEGATE_API_KEY, TIDEGATE_API_SECRET, TIDEGATE_URL = "http://127.0.0.1:8080", PORT = "3000" } = process.env;
if (!TIDEGATE_API_KEY || !TIDEGATE_API_SECRET) throw new Error("TIDEGATE_API_KEY and TIDEGATE_API_SECRET are not set");
const FILES = { "/": ["index.html", "text/html; charset=utf-8"], "/app.js": ["app.js", "text/javascript"] };

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

function signToken(claims) {
  const iat = Math.floor(Date.now() / 1000);
  const payload = { apikey: TIDEGATE_API_KEY, version: 2, iat, exp: iat + 7200, ...claims };
  const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(payload)}`;
  return `${text}.${createHmac("sha256", TIDEGATE_API_SECRET).update(text).digest("base64url")}`;
}

async function callTidegate(method, path) {
  const headers = { Authorization: signToken({ permissions: ["allow_join"], roles: ["crawler"] }) };
  const answer = await fetch(TIDEGATE_URL + path, { method, headers });
  return [answer.status, await answer.text()];
}

async function answerTo(method, path) {
  // Who asks? Here your own sign-in decides who gets a token, and whether it may moderate.
  const token = () => signToken({ permissions: ["allow_join", "allow_mod"] });
  if (method === "GET" && path === "/get-token") return [200, JSON.stringify({ token: token(), url: TIDEGATE_URL })];
  if (method === "POST" && path === "/create-meeting") return callTidegate("POST", "/v2/rooms");
  const [, meetingId] = /^\/validate-meeting\/([\w-]+)$/.exec(path) ?? [];
  if (method === "POST" && meetingId) return callTidegate("GET", `/v2/rooms/validate/${meetingId}`);
  const [file, type] = FILES[path] ?? [];
  return file ? [200, await readFile(new URL(`../app-page/${file}`, import.meta.url)), type] : [404, "{}"];
}

const server = createServer(async (request, response) => {
  const path = request.url.split("?")[0];
  const [status, body, type] = await answerTo(request.method, path).catch(() => [502, '{"message":"Tidegate is away"}']);
  response.writeHead(status, { "Content-Type": type ?? "application/json" }).end(body);
}).listen(PORT, "127.0.0.1", () => console.log(`App server at http://127.0.0.1:${server.address().port}`));
