/** A composed picture as a small drawing: where people would stand, with their names. */

import { SIZES, arrange } from "./arrange.js";
import { faceOf } from "./codes.js";
import { makeSvg } from "./dom.js";

// As sfu/compose/art.py has them.
const THEMES = {
  DARK: { ground: "#131519", tile: "#272b32", text: "#f2f5fa" },
  LIGHT: { ground: "#f2f4f7", tile: "#d9dee5", text: "#1a2230" },
};
const NAME_SHARE = 0.07; // of the tile's shorter side; smaller than this on the canvas nobody reads it

/**
 * @param {{layout: any, theme?: string, orientation?: string}} config
 * @param {import("./arrange.js").Cast} cast
 * @param {(id: string) => string} nameOf
 * @param {string} [label] for screen readers; without one it is small, without names, and hidden from them
 * @returns {SVGElement}
 */
export function sketch({ layout, theme = "DARK", orientation = "landscape" }, cast, nameOf, label) {
  const [long, short] = SIZES.med;
  const [width, height] = orientation === "portrait" ? [short, long] : [long, short];
  const colors = THEMES[theme] ?? THEMES.DARK;
  const attributes = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  return makeSvg(
    "svg", { viewBox: `0 0 ${width} ${height}`, class: "sketch", ...attributes },
    makeSvg("rect", { width, height, fill: colors.ground }),
    ...arrange(layout, cast, width, height).map((cell) => drawCell(cell, colors, nameOf, Boolean(label))),
  );
}

function drawCell(cell, colors, nameOf, named) {
  const { x, y, width, height, kind } = cell;
  const side = Math.min(width, height);
  const frame = { x, y, width, height, rx: Math.min(10, side / 8) };
  const middle = { x: x + width / 2, y: y + height / 2, "text-anchor": "middle", "dominant-baseline": "central" };
  if (kind === "text") return makeSvg("text", { ...middle, "font-size": Math.min(height * 0.6, 48), fill: cell.color ?? colors.text }, clip(cell.text, width));
  if (kind === "image" || kind === "empty") {
    const shape = makeSvg("rect", { ...frame, fill: colors.tile, stroke: colors.text, "stroke-opacity": 0.4, "stroke-dasharray": "12 8", "stroke-width": 3 });
    return makeSvg("g", {}, shape, makeSvg("text", { ...middle, "font-size": side * 0.16, fill: colors.text }, clip(cell.text ?? "", width)));
  }
  const name = nameOf(cell.id);
  const { initials, hue } = faceOf(name);
  const parts = [makeSvg("rect", { ...frame, fill: kind === "share" ? "#0b0e14" : `hsl(${hue} 32% 30%)` })];
  if (kind === "share") parts.push(...drawScreen(cell));
  else {
    parts.push(makeSvg("circle", { cx: middle.x, cy: middle.y, r: side * 0.24, fill: `hsl(${hue} 50% 42%)` }));
    parts.push(makeSvg("text", { ...middle, "font-size": side * 0.2, "font-weight": 600, fill: "#fff" }, initials));
  }
  if (named && side * NAME_SHARE > 12) {
    const size = Math.min(side * NAME_SHARE, 34);
    parts.push(makeSvg("text", { x: x + size * 0.8, y: y + height - size * 0.8, "font-size": size, fill: "#fff" }, clip(name, width / (size / 34))));
  }
  return makeSvg("g", {}, ...parts);
}

/** Lines of a page, as of somebody's document. */
function drawScreen({ x, y, width, height }) {
  const [left, top, step] = [x + width * 0.18, y + height * 0.2, height * 0.12];
  return [0.64, 0.5, 0.58, 0.36].map((part, index) =>
    makeSvg("rect", { x: left, y: top + index * step, width: width * part, height: step * 0.4, rx: step * 0.2, fill: "#5d6f93" }),
  );
}

function clip(text, width) {
  const most = Math.max(4, Math.floor(width / 20));
  const letters = [...text];
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : text;
}
