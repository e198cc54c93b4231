/** Short messages above the controls, read out by screen readers. */

import { byId, make } from "./dom.js";

const SHOWN_MS = 5000;
const QUESTION_SHOWN_MS = 20000; // somebody must read it, decide and reach the button
const MOST = 4;

/**
 * @param {string} text
 * @param {{bad?: boolean, action?: {label: string, run: () => void}}} [options]
 */
export function toast(text, { bad = false, action } = {}) {
  const box = byId("toasts");
  const message = make("div", { class: bad ? "toast bad" : "toast" }, make("span", {}, text));
  const remove = () => message.remove();
  stayReachable(box);
  if (action) {
    const run = () => {
      remove();
      action.run();
    };
    message.append(make("button", { class: "button small primary", type: "button", click: run }, action.label));
  }
  box.append(message);
  while (box.children.length > MOST) box.firstElementChild.remove();
  setTimeout(remove, action ? QUESTION_SHOWN_MS : SHOWN_MS);
}

/** What is outside of an open dialog is behind it, and silent: the messages come inside. @param {HTMLElement} box */
function stayReachable(box) {
  const dialog = [...document.querySelectorAll("dialog[open]")].at(-1);
  if (dialog && box.parentElement !== dialog) {
    dialog.append(box);
    dialog.addEventListener("close", () => document.body.append(box), { once: true });
  }
}

/** Said to screen readers only, for what the eye sees anyway. @param {string} text */
export function announce(text) {
  byId("alerts").textContent = text;
}
