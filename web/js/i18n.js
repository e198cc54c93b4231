/** Words, numbers and times in the language of whoever looks. The words are in ../strings/, nowhere else. */

import de from "../strings/de.js";
import en from "../strings/en.js";

const CATALOGUES = { en, de };

/**
 * The first language asked for that we have.
 * @param {readonly string[]} wanted BCP 47 tags, best first
 * @returns {string}
 */
export function pickLanguage(wanted) {
  for (const tag of wanted) {
    const primary = tag.toLowerCase().split("-")[0];
    if (primary in CATALOGUES) return primary;
  }
  return "en";
}

const wanted = globalThis.navigator?.languages ?? ["en"];
export const language = pickLanguage(wanted);
// Dates and numbers follow the region asked for (en-GB, de-AT) where it is of the language we speak.
const locale = wanted.find((tag) => tag.toLowerCase().split("-")[0] === language) ?? language;
const plural = new Intl.PluralRules(locale);

/**
 * @param {string} key
 * @param {Record<string, string | number>} [values] for the {names} in the text
 */
export function t(key, values = {}) {
  const text = CATALOGUES[language][key] ?? en[key];
  if (text === undefined) throw new Error(`no such string: ${key}`);
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** @param {string} key */
export function has(key) {
  return key in en;
}

/** @param {string} key of which `key.one` and `key.other` exist @param {number} n */
export function tn(key, n) {
  const form = has(`${key}.${plural.select(n)}`) ? plural.select(n) : "other";
  return t(`${key}.${form}`, { n: new Intl.NumberFormat(locale).format(n) });
}

/** @param {Date} date */
export function formatTime(date) {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(date);
}

/** "14:00" @param {Date} date */
export function formatHour(date) {
  return new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" }).format(date);
}

/** "yesterday", "3 hours ago" @param {Date} date */
export function formatAgo(date) {
  const seconds = (date.getTime() - Date.now()) / 1000;
  const format = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  for (const [unit, size] of /** @type {const} */ ([["day", 86400], ["hour", 3600], ["minute", 60]])) {
    if (Math.abs(seconds) >= size) return format.format(Math.round(seconds / size), unit);
  }
  return format.format(0, "minute");
}

/** "2.4 Mbit/s" @param {number} rate bits per second */
export function formatRate(rate) {
  const [value, unit] = rate >= 1e6 ? [rate / 1e6, "Mbit/s"] : [rate / 1e3, "kbit/s"];
  return `${new Intl.NumberFormat(locale, { maximumSignificantDigits: 2 }).format(value)} ${unit}`;
}

/** "12 MB" @param {number} bytes */
export function formatSize(bytes) {
  const [unit, size] = bytes >= 1e9 ? ["gigabyte", 1e9] : bytes >= 1e6 ? ["megabyte", 1e6] : ["kilobyte", 1e3];
  return new Intl.NumberFormat(locale, { style: "unit", unit, maximumFractionDigits: bytes / size < 10 ? 1 : 0 }).format(bytes / size);
}

/** "1:05", "1:02:03" @param {number} seconds */
export function formatClock(seconds) {
  const pad = new Intl.NumberFormat(locale, { minimumIntegerDigits: 2, useGrouping: false });
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours}:${pad.format(minutes)}:${pad.format(rest)}` : `${minutes}:${pad.format(rest)}`;
}

/** "2 minutes", "less than that" rounds up to one unit @param {number} seconds */
export function formatSpan(seconds) {
  const [unit, size] = seconds >= 5400 ? ["hour", 3600] : seconds >= 90 ? ["minute", 60] : ["second", 1];
  const format = new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 });
  return format.format(Math.max(1, Math.round(seconds / Number(size))));
}

/**
 * Fills a page: `data-t` gives the text, `data-t-<attribute>` an attribute.
 * @param {ParentNode} root
 */
export function translate(root) {
  document.documentElement.lang = language;
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const attribute of ["aria-label", "placeholder", "title"]) {
    for (const element of root.querySelectorAll(`[data-t-${attribute}]`)) {
      element.setAttribute(attribute, t(element.getAttribute(`data-t-${attribute}`)));
    }
  }
}
