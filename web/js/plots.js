/** Small plots in SVG: lines over time, bars by hour. Numbers in, elements out; colours are the style sheets'. */

import { make, makeSvg } from "./dom.js";

/**
 * @param {number[]} values at even distances
 * @param {{label: string, width?: number, height?: number}} options
 */
export function sparkline(values, { label, width = 120, height = 28 }) {
  const top = Math.max(...values, 1);
  const point = (value, index) => `${((index / (values.length - 1)) * width).toFixed(1)},${(height - 2 - (value / top) * (height - 4)).toFixed(1)}`;
  const line = values.map(point).join(" ");
  return makeSvg(
    "svg", { viewBox: `0 0 ${width} ${height}`, class: "sparkline", role: "img", "aria-label": label, preserveAspectRatio: "none" },
    makeSvg("polygon", { points: `0,${height} ${line} ${width},${height}`, class: "spark-area" }),
    makeSvg("polyline", { points: line, class: "spark-line" }),
  );
}

/**
 * Words along a plot, of one size however wide it is drawn.
 * @param {{at: number, text: string}[]} marks `at` from 0 to 1
 */
export function axis(marks) {
  const labels = marks.map(({ at, text }) => {
    const label = make("span", {}, text);
    label.style.left = `${at * 100}%`;
    return label;
  });
  return make("div", { class: "axis", "aria-hidden": "true" }, ...labels);
}

/**
 * Bars of parts, one upon the other.
 * @param {{label: string, parts: Record<string, number>}[]} columns
 * @param {string[]} names of the parts, from below; each is a class `bar-<name>`
 * @param {{label: string, height?: number}} options
 */
export function stackedBars(columns, names, { label, height = 120 }) {
  const width = 720;
  const step = width / columns.length;
  const top = Math.max(1, ...columns.map(({ parts }) => names.reduce((sum, name) => sum + (parts[name] ?? 0), 0)));
  const shapes = columns.flatMap(({ label: word, parts }, index) => {
    let y = height;
    return names.filter((name) => parts[name]).map((name) => {
      const size = Math.max(2, (parts[name] / top) * (height - 4));
      y -= size;
      const bar = makeSvg("rect", { x: index * step + step * 0.12, y, width: step * 0.76, height: size, rx: 2, class: `bar-${name}` });
      bar.append(makeSvg("title", {}, `${word} ${parts[name]}`));
      return bar;
    });
  });
  const every = Math.ceil(columns.length / 8);
  const marks = columns.map(({ label: text }, index) => ({ at: index / columns.length, text })).filter((_, index) => index % every === 0);
  const plot = makeSvg("svg", { viewBox: `0 0 ${width} ${height}`, class: "bars", role: "img", "aria-label": label, preserveAspectRatio: "none" }, ...shapes);
  return make("div", {}, plot, axis(marks));
}
