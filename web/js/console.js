/** What the pages ask of the server that serves them: who they are, tokens, rooms, invite links. */

export class ConsoleError extends Error {
  /** @param {number} status @param {any} problem application/problem+json */
  constructor(status, problem) {
    super(problem?.message ?? problem?.detail ?? problem?.title ?? `HTTP ${status}`);
    this.status = status;
    this.code = problem?.code ?? status;
    /** What of a body is wrong, by path. @type {{path: string, message: string}[]} */
    this.errors = problem?.errors ?? [];
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {any} [body]
 * @param {Record<string, string>} [headers]
 */
export async function ask(method, path, body, headers = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      headers: body === undefined ? headers : { ...headers, "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new ConsoleError(0, { code: 3104, message: "The server does not answer" });
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new ConsoleError(response.status, answer);
  return answer;
}

/** @returns {Promise<{mode: "dev"|"signed-in"|"signed-out"}>} */
export const session = () => ask("GET", "/console/session");
export const signIn = (apiKey, secret) => ask("POST", "/console/sign-in", { apiKey, secret });
export const signOut = () => ask("POST", "/console/sign-out", {});
/** @returns {Promise<{roomId: string}>} */
export const createRoom = () => ask("POST", "/console/rooms", {});
/** @returns {Promise<{token: string}>} */
export const roomToken = (roomId) => ask("POST", "/console/token", { roomId });
/** For everything of the project. @returns {Promise<{token: string}>} */
export const projectToken = () => ask("POST", "/console/token", {});
/** @returns {Promise<{url: string, expires?: string}>} */
export const inviteLink = (roomId) => ask("POST", "/console/invite", { roomId });
