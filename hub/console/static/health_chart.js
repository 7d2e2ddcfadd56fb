// How a relationship fared, drawn: a line of steps over the bands that it went through.

import { BANDS, describe, points, scale, stepPath } from "./curve.js";
import { byId, svg } from "./dom.js";
import { bandWords } from "./words.js";

const HEIGHT_PX = 160;
const PLACE = { left: 8, top: 8, bottom: HEIGHT_PX - 20 };
const NAMES_PX = 76;

export class HealthChart {
  #found = [];

  constructor() {
    new ResizeObserver(() => this.#draw()).observe(byId("chart"));
  }

  /** Draw snapshots as the hub lists them. */
  show(snapshots) {
    this.#found = points(snapshots, Date.now());
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
    root.replaceChildren(
      svg(
        "svg",
        { width, height: HEIGHT_PX, role: "img", "aria-label": describe(this.#found) },
        ...BANDS.flatMap((each) => zone(each, place, to, width)),
        svg("path", { class: "curve", d: stepPath(this.#found, to) }),
        svg("circle", { class: "curve-end", cx: place.right, cy: to.y(this.#found.at(-1).score), r: 4 }),
        ...[[this.#found[0].at, place.left, "start"], [this.#found.at(-1).at, place.right, "end"]].map(([at, x, anchor]) =>
          svg("text", { class: "curve-day", x, y: HEIGHT_PX - 4, "text-anchor": anchor }, day(at))),
      ),
    );
  }
}

function zone({ band, from, to: until }, { left, right }, { y }, width) {
  const top = y(until);
  return [
    svg("rect", { class: "zone", "data-band": band, x: left, y: top, width: right - left, height: y(from) - top }),
    svg("text", { class: "zone-name", x: width - NAMES_PX + 10, y: (top + y(from)) / 2 + 4 }, bandWords(band)),
  ];
}

const day = (at) => new Date(at).toLocaleDateString([], { day: "numeric", month: "short", timeZone: "UTC" });
