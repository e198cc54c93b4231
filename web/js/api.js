/** The REST API with a short-lived token, asked for anew when it has ended. */

import { ConsoleError, ask } from "./console.js";

export class Api {
  #getToken;
  /** @type {Promise<string> | null} */
  #token = null;

  /** @param {() => Promise<string>} getToken */
  constructor(getToken) {
    this.#getToken = getToken;
  }

  /** Somebody else may sign in next. */
  forget() {
    this.#token = null;
  }

  get(path) {
    return this.#ask("GET", path);
  }
  post(path, body = {}) {
    return this.#ask("POST", path, body);
  }
  patch(path, body) {
    return this.#ask("PATCH", path, body);
  }
  delete(path) {
    return this.#ask("DELETE", path);
  }

  async #ask(method, path, body) {
    const known = this.#token !== null;
    try {
      return await this.#once(method, path, body);
    } catch (error) {
      if (!known || !(error instanceof ConsoleError) || error.status !== 401) throw error;
      return this.#once(method, path, body); // the token had ended
    }
  }

  async #once(method, path, body) {
    this.#token ??= this.#getToken().catch((error) => {
      this.#token = null;
      throw error;
    });
    try {
      return await ask(method, path, body, { Authorization: await this.#token });
    } catch (error) {
      if (error.status === 401) this.#token = null;
      throw error;
    }
  }
}
