/** The targets of a livestream and how they do: state in words, error, bit rate. */

import { icon, make } from "./dom.js";
import { formatRate, t } from "./i18n.js";
import { sparkline } from "./plots.js";

const PICTURES = { live: "ok", retrying: "warn", failed: "warn", connecting: "again", stopped: "close" };

/**
 * @param {any[]} outputs `{id, url, status, error, bitrate?}`
 * @param {Map<string, number[]>} [rates] bit rates so far, by output
 * @param {(output: any) => any[]} [actions] elements for each
 */
export function outputList(outputs, rates = new Map(), actions = () => []) {
  return make("ul", { class: "outputs" }, ...outputs.map((output) => row(output, rates.get(output.id) ?? [], actions(output))));
}

function row(output, rates, actions) {
  const { url, status, error, bitrate } = output;
  const shown = status === "live" && bitrate ? [make("span", { class: "rate" }, formatRate(bitrate))] : [];
  const plot = rates.length > 1 && rates.some(Boolean) ? [sparkline(rates, { label: t("live.rates", { rate: formatRate(rates.at(-1)) }) })] : [];
  return make(
    "li", { class: "output", "data-status": status, "data-output": output.id },
    make("span", { class: `chip ${status}` }, icon(/** @type {any} */ (PICTURES[status] ?? "again")), t(`output.${status}`)),
    make("span", { class: "output-url" }, url),
    ...plot, ...shown, ...actions,
    ...(error ? [make("p", { class: "output-error" }, error)] : []),
  );
}

/** Adds what the outputs send now. @param {Map<string, number[]>} rates @param {any[]} outputs @param {number} most */
export function noteRates(rates, outputs, most = 60) {
  for (const { id, bitrate } of outputs) {
    if (bitrate === null || bitrate === undefined) continue;
    rates.set(id, [...(rates.get(id) ?? []), bitrate].slice(-most));
  }
}
