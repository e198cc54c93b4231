/** The lanes of a timeline as a drawing with a cursor, and as a table for who cannot see it. */

import { make, makeSvg } from "./dom.js";
import { formatClock, t } from "./i18n.js";
import { axis } from "./plots.js";
import { axisMarks, total } from "./timeline.js";

const WIDTH = 1000;
const LANE = 40;
const ROWS = { there: [4, 30], mic: [8, 9], webcam: [20, 5], screen: [27, 4], spoke: [6, 13] }; // top and height within a lane

export class Lanes {
  #cursor = makeSvg("line", { y1: 0, class: "cursor" });
  #length;

  /**
   * @param {ReturnType<import("./timeline.js").readTimeline>} read
   * @param {(seconds: number) => void} onSeek
   */
  constructor({ lanes, layouts, length }, onSeek) {
    this.#length = length;
    const height = lanes.length * LANE;
    const x = (seconds) => (seconds / length) * WIDTH;
    const marks = axisMarks(length).map((at) => makeSvg("line", { x1: x(at), x2: x(at), y1: 0, y2: height, class: "mark" }));
    const times = axis(axisMarks(length).map((at) => ({ at: at / length, text: formatClock(at) })));
    const changes = layouts.map(({ at, name }) => {
      const line = makeSvg("path", { d: `M${x(at)} 0V${height}`, class: "layout-mark" });
      line.append(makeSvg("title", {}, `${formatClock(at)} ${t(`compose.layout.${name}`)}`));
      return line;
    });
    const bars = lanes.flatMap((lane, index) =>
      Object.entries(ROWS).flatMap(([what, [top, size]]) =>
        lane[what].map(([from, until]) => {
          const rect = { x: x(from), width: Math.max(1.5, x(until) - x(from)), y: index * LANE + top, height: size, rx: 2 };
          return makeSvg("rect", { ...rect, class: `lane-${what}` });
        }),
      ),
    );
    this.#cursor.setAttribute("y2", String(height));
    const plot = makeSvg(
      "svg", { viewBox: `0 0 ${WIDTH} ${height}`, class: "lanes-plot", preserveAspectRatio: "none", "aria-hidden": "true" },
      ...marks, ...bars, ...changes, this.#cursor,
    );
    plot.addEventListener("click", (event) => {
      const { left, width } = plot.getBoundingClientRect();
      onSeek(((event.clientX - left) / width) * length);
    });
    this.element = make(
      "figure", { class: "lanes" },
      make("figcaption", {}, ...Object.keys(ROWS).map((what) => make("span", { class: `key key-${what}` }, t(`lane.${what}`))), make("span", { class: "key key-layout" }, t("lane.layout"))),
      make("div", { class: "lanes-body" }, times, make("div", { class: "lane-names", "aria-hidden": "true" }, ...lanes.map(({ name }) => make("span", {}, name))), plot),
      table(lanes),
    );
    plot.style.height = `${height}px`;
    this.show(0);
  }

  /** @param {number} seconds where the player is */
  show(seconds) {
    const x = String((Math.min(seconds, this.#length) / this.#length) * WIDTH);
    this.#cursor.setAttribute("x1", x);
    this.#cursor.setAttribute("x2", x);
  }
}

function table(lanes) {
  const columns = ["there", "spoke", "mic", "webcam", "screen"];
  const head = ["lane.who", ...columns.map((what) => `lane.${what}`)].map((key) => make("th", { scope: "col" }, t(key)));
  const rows = lanes.map((lane) =>
    make("tr", {}, make("th", { scope: "row" }, lane.name), ...columns.map((what) => make("td", {}, formatClock(total(lane[what]))))),
  );
  return make("details", {}, make("summary", {}, t("lane.table")), make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows))));
}
