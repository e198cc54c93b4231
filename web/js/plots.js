/** Small plots in SVG: lines over time, bars by hour. Numbers in, elements out; colours are the style sheets'. */

import { makeSvg } from "./dom.js";

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
 * Bars of parts, one upon the other.
 * @param {{label: string, parts: Record<string, number>}[]} columns
 * @param {string[]} names of the parts, from below; each is a class `bar-<name>`
 * @param {{label: string, height?: number}} options
 */
export function stackedBars(columns, names, { label, height = 120 }) {
  const width = 720;
  const foot = 22;
  const step = width / columns.length;
  const top = Math.max(1, ...columns.map(({ parts }) => names.reduce((sum, name) => sum + (parts[name] ?? 0), 0)));
  const shapes = columns.flatMap(({ label: word, parts }, index) => {
    let y = height - foot;
    const bars = names.filter((name) => parts[name]).map((name) => {
      const size = Math.max(2, (parts[name] / top) * (height - foot - 8));
      y -= size;
      const bar = makeSvg("rect", { x: index * step + step * 0.12, y, width: step * 0.76, height: size, rx: 2, class: `bar-${name}` });
      bar.append(makeSvg("title", {}, `${word} ${parts[name]}`));
      return bar;
    });
    const every = Math.ceil(columns.length / 8);
    const text = index % every === 0 ? [makeSvg("text", { x: index * step + step / 2, y: height - 5, "text-anchor": "middle", class: "axis" }, word)] : [];
    return [...bars, ...text];
  });
  const floor = makeSvg("line", { x1: 0, x2: width, y1: height - foot, y2: height - foot, class: "axis-line" });
  return makeSvg("svg", { viewBox: `0 0 ${width} ${height}`, class: "bars", role: "img", "aria-label": label }, floor, ...shapes);
}
