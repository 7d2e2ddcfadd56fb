// How a relationship fared, drawn: a line over the bands that it went through.

import { BANDS, describe, linePath, months, points, scale } from "./curve.js";
import { byId, svg } from "./dom.js";
import { bandWords } from "./words.js";

const HEIGHT_PX = 176;
const PLACE = { left: 0, top: 6, bottom: HEIGHT_PX - 22 };
const NAMES_PX = 66;
const MONTH_PX = 56;

export class HealthChart {
  #found = [];

  constructor() {
    new ResizeObserver(() => this.#draw()).observe(byId("chart"));
  }

  /** Draw a series as the hub answers it. */
  show(series) {
    this.#found = points(series);
    this.#draw();
  }

  #draw() {
    const root = byId("chart");
    const width = root.clientWidth;
    if (width === 0) return;
    if (this.#found.length === 0) {
      root.replaceChildren(describe([]));
      return;
    }
    const place = { ...PLACE, right: width - NAMES_PX };
    const to = scale(this.#found, place);
    const [first, last] = [this.#found[0], this.#found.at(-1)];
    root.replaceChildren(
      svg(
        "svg",
        { width, height: HEIGHT_PX, role: "img", "aria-label": describe(this.#found) },
        ...BANDS.flatMap((each) => zone(each, place, to)),
        ...marks(first.at, last.at, place, to),
        svg("path", { class: "curve", d: linePath(this.#found, to) }),
        svg("circle", { class: "curve-end", cx: to.x(last.at), cy: to.y(last.score), r: 4 }),
      ),
    );
  }
}

function zone({ band, from, to: until }, { left, right }, { y }) {
  const top = y(until);
  return [
    svg("rect", { class: "zone", "data-band": band, x: left, y: top, width: right - left, height: y(from) - top }),
    svg("text", { class: "chart-words", x: right + 10, y: (top + y(from)) / 2 + 4 }, bandWords(band)),
  ];
}

function marks(from, until, { left, right, bottom }, { x }) {
  const text = (at, anchor, words) => svg("text", { class: "chart-words", x: x(at), y: HEIGHT_PX - 6, "text-anchor": anchor }, words);
  const found = months(from, until, Math.floor((right - left) / MONTH_PX));
  // Of weeks the days say more than the one month that may begin among them.
  if (found.length < 2) return [...(until > from ? [text(from, "start", day(from))] : []), text(until, "end", day(until))];
  return found.flatMap((at) => [
    svg("line", { class: "month", x1: x(at), x2: x(at), y1: PLACE.top, y2: bottom }),
    text(at, x(at) < left + MONTH_PX / 2 ? "start" : "middle", month(at)),
  ]);
}

const inWords = (at, parts) => new Date(at).toLocaleDateString([], { ...parts, timeZone: "UTC" });
const day = (at) => inWords(at, { day: "numeric", month: "short" });
const month = (at) => inWords(at, new Date(at).getUTCMonth() === 0 ? { year: "numeric" } : { month: "short" });
