/** Events by name: on, once, off. A listener that throws does not keep the others from being told. */

export class Emitter {
  /** `original` is what `once` was given. @type {Map<string, Set<Function & {original?: Function}>>} */
  #listeners = new Map();

  /**
   * @param {string} event
   * @param {(...args: any[]) => void} listener
   * @returns {this}
   */
  on(event, listener) {
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event)?.add(listener);
    return this;
  }

  /**
   * @param {string} event
   * @param {(...args: any[]) => void} listener
   * @returns {this}
   */
  once(event, listener) {
    const wrapper = (...args) => {
      this.off(event, wrapper);
      listener(...args);
    };
    wrapper.original = listener;
    return this.on(event, wrapper);
  }

  /**
   * Without a listener, all listeners of the event are taken off.
   * @param {string} event
   * @param {(...args: any[]) => void} [listener]
   * @returns {this}
   */
  off(event, listener) {
    const listeners = this.#listeners.get(event);
    if (!listeners) return this;
    for (const each of [...listeners]) {
      if (!listener || each === listener || each.original === listener) listeners.delete(each);
    }
    return this;
  }

  /**
   * For the SDK's own use.
   * @param {string} event
   * @param {...any} args
   */
  emit(event, ...args) {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(...args);
      } catch (error) {
        // Reported as uncaught, as the DOM does with its listeners, but the next listener is still called.
        globalThis.reportError ? globalThis.reportError(error) : console.error(error);
      }
    }
  }
}
