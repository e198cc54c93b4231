/** Making and finding elements. */

import { ICONS } from "./icons.js";

const SVG = "http://www.w3.org/2000/svg";

/** @param {string} id @returns {any} */
export const byId = (id) => {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no element #${id}`);
  return element;
};

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes] a function is a listener, a boolean an attribute that is there or not
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else if (value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/**
 * @param {string} tag of SVG
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** @param {keyof typeof ICONS} name @returns {SVGElement} hidden from screen readers: the words say it */
export function icon(name) {
  const shapes = ICONS[name].map((d) => makeSvg("path", { d }));
  return makeSvg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, ...shapes);
}

/** Puts an icon into each element that names one by `data-icon`. @param {ParentNode} root */
export function drawIcons(root) {
  for (const element of root.querySelectorAll("[data-icon]")) {
    element.querySelector(":scope > .icon")?.remove();
    element.prepend(icon(element.dataset.icon));
  }
}

/** Shows one of several sections. @param {string} id */
export function showOnly(id) {
  for (const section of document.querySelectorAll("[data-screen]")) section.hidden = section.id !== id;
}
