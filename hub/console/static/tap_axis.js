// The timeline: taps and touches as marks in a lane per ring; one stop of the tab key, then arrows.

import { layOut, step, ticks } from "./axis.js";
import { byId, svg } from "./dom.js";
import { announce, problem } from "./notices.js";
import { count, tapKind, tapSource } from "./words.js";

const LANE_PX = 44;
const HEAD_PX = 20;
const SIDE_PX = 12;
const LABEL_HALF_PX = 30;
const KEPT = 1000;
const REDRAW_MS = 10_000;

const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

export class TapAxis {
  #session;
  #rings;
  #taps = new Map();
  #touches = [];
  #marks = [];
  #current = "";

  constructor(session, rings) {
    this.#session = session;
    this.#rings = rings;
    byId("timeline-span").onchange = () => this.load().catch(problem);
    new ResizeObserver(() => this.draw()).observe(byId("timeline"));
    setInterval(() => document.visibilityState === "visible" && this.draw(), REDRAW_MS);
  }

  async load() {
    const from = Date.now() - this.#spanMs;
    let cursor = "";
    // As many pages as the span needs, within reason: the axis is no archive.
    do {
      const page = await this.#session.get(`/v1/rings/taps?limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
      for (const tap of page.items) this.#add({ ...tap, at: Date.parse(tap.tapped_at ?? tap.received_at) });
      cursor = Date.parse(page.items.at(-1)?.received_at) > from && this.#taps.size < KEPT ? page.next_cursor : null;
    } while (cursor);
    this.draw();
  }

  /** Take a tap from the websocket; returns whether it was new. */
  arrive({ data, occurred_at }) {
    if (this.#taps.has(data.tap_id)) return false;
    this.#add({ ...data, id: data.tap_id, at: Date.parse(data.tapped_at ?? occurred_at) });
    announce(`New tap: ${this.#rings.name(data.ring_id)}, ${tapKind(data.kind)}`);
    this.draw();
    return true;
  }

  touches(items) {
    this.#touches = items.map((touch) => ({ ...touch, at: Date.parse(touch.touched_at ?? touch.created_at) }));
    this.draw();
  }

  draw() {
    const root = byId("timeline");
    const width = root.clientWidth;
    if (width === 0) return;
    const rings = this.#rings.all;
    const to = Date.now();
    const from = to - this.#spanMs;
    const place = { from, to, left: SIDE_PX, right: width - SIDE_PX };
    const lanes = rings.map((ring) => ring.id);
    this.#marks = layOut(this.#items(), lanes, place);
    const height = HEAD_PX + Math.max(1, rings.length) * LANE_PX;
    const hadFocus = root.contains(document.activeElement);
    if (!this.#marks.some((mark) => mark.id === this.#current)) this.#current = this.#marks.at(-1)?.id ?? "";
    root.replaceChildren(
      svg(
        "svg",
        { width, height, role: "group", "aria-label": `${count(this.#marks.length, "tap or touch", "")} since ${clock(from)}; arrow keys move between them` },
        ...ticks(from, to, width).flatMap((at) => tick(layOut([{ id: "", lane: 0, at }], [0], place)[0].x, at, width, height)),
        ...rings.flatMap((ring, row) => lane(this.#rings.name(ring.id), row, width)),
        ...this.#marks.map((mark) => this.#mark(mark)),
      ),
    );
    if (hadFocus) this.#focus(this.#current);
  }

  get #spanMs() {
    return Number(byId("timeline-span").value) * 1000;
  }

  #add(tap) {
    this.#taps.set(tap.id, tap);
    if (this.#taps.size > KEPT) this.#taps.delete([...this.#taps.keys()].sort()[0]);
  }

  #items() {
    const taps = [...this.#taps.values()].map((tap) => ({ id: tap.id, lane: tap.ring_id, at: tap.at, shape: tap.kind, words: `${tapKind(tap.kind)}, ${tapSource(tap.source)}${tap.verified ? "" : ", not verified"}` }));
    const touches = this.#touches.map((touch) => ({ id: touch.id, lane: touch.ring_id, at: touch.at, shape: "touch", words: `Touch, ${touch.state}` }));
    return [...taps, ...touches];
  }

  #mark(mark) {
    const y = HEAD_PX + mark.row * LANE_PX + LANE_PX * 0.68;
    const words = `${this.#rings.name(mark.lane)}, ${new Date(mark.at).toLocaleTimeString()}: ${mark.words}`;
    const shape =
      mark.shape === "touch"
        ? svg("path", { d: `M${mark.x} ${y - 8}l8 8-8 8-8-8z` })
        : svg("circle", { cx: mark.x, cy: y, r: 6 });
    const group = svg(
      "g",
      { class: "mark", role: "img", tabindex: mark.id === this.#current ? 0 : -1, "data-mark": mark.id, "data-shape": mark.shape, "aria-label": words },
      svg("circle", { class: "reach", cx: mark.x, cy: y, r: 12 }),
      shape,
    );
    group.addEventListener("keydown", (event) => this.#key(event, mark.id));
    group.addEventListener("focus", () => this.#tell(mark.id, words));
    group.addEventListener("pointerenter", () => this.#tell(null, words));
    group.addEventListener("click", () => this.#focus(mark.id));
    return group;
  }

  #key(event, id) {
    const index = this.#marks.findIndex((mark) => mark.id === id);
    const next = step(this.#marks, index, event.key);
    if (next === index) return;
    event.preventDefault();
    this.#focus(this.#marks[next].id);
  }

  #focus(id) {
    const marks = byId("timeline").querySelectorAll("[data-mark]");
    for (const mark of marks) {
      const is = mark.dataset.mark === id;
      mark.setAttribute("tabindex", is ? 0 : -1);
      if (is) mark.focus();
    }
  }

  #tell(id, words) {
    if (id !== null) this.#current = id;
    byId("timeline-words").textContent = words;
  }
}

function tick(x, at, width, height) {
  // At the edges a centred label would be cut.
  const anchor = x < LABEL_HALF_PX ? "start" : x > width - LABEL_HALF_PX ? "end" : "middle";
  return [
    svg("line", { class: "tick", x1: x, x2: x, y1: HEAD_PX, y2: height }),
    svg("text", { class: "tick-time", x, y: 14, "text-anchor": anchor, "aria-hidden": "true" }, clock(at)),
  ];
}

function lane(name, row, width) {
  const top = HEAD_PX + row * LANE_PX;
  return [
    svg("line", { class: "lane", x1: 0, x2: width, y1: top + LANE_PX, y2: top + LANE_PX }),
    svg("text", { class: "lane-name", x: SIDE_PX, y: top + 15 }, name),
  ];
}
