/** Keys that work anywhere in the call, unless one is typing, a dialog is open, or they are switched off. */

import { byId, make } from "./dom.js";
import { t } from "./i18n.js";
import { prefer, preferences } from "./memory.js";

/**
 * @param {Record<string, {text: string, run: () => void}>} actions by key, as the catalogue names what they do
 */
export function installShortcuts(actions) {
  byId("keys-list").replaceChildren(
    ...Object.entries(actions).flatMap(([key, { text }]) => [
      make("dt", {}, make("kbd", {}, key.toUpperCase())),
      make("dd", {}, t(text)),
    ]),
  );
  const enabled = byId("keys-enabled");
  enabled.checked = preferences().shortcuts ?? true;
  enabled.addEventListener("change", () => prefer({ shortcuts: enabled.checked }));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.defaultPrevented) return;
    if (!enabled.checked || byId("call").hidden) return;
    if (event.target.closest("input, select, textarea, dialog")) return;
    const action = actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action.run();
  });
}
