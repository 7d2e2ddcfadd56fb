// The list of taps: the first page by REST, then live; each tap once, whichever way it came first.

import { busy, byId, el, show, timeOf } from "./dom.js";
import { announce, problem } from "./notices.js";
import { Timeline } from "./timeline.js";
import { count, tapKind, tapSource } from "./words.js";

const PAGE = 50;
const SHOWN_AT_MOST = 500;

export class Taps {
  #session;
  #rings;
  #timeline = new Timeline();
  #rows = new Map();
  #cursor = null;
  // Taps that arrived while the list was asked for: the answer may be older than they are.
  #meanwhile = [];

  constructor(session, rings) {
    this.#session = session;
    this.#rings = rings;
    byId("taps-older").onclick = () => busy(byId("taps-older"), () => this.#older());
  }

  /** Load the newest page. `afresh` forgets what is shown, as there may be a gap behind it. */
  async load({ afresh = false } = {}) {
    const meanwhile = (this.#meanwhile = []);
    const page = await this.#session.get(`/v1/rings/taps?limit=${PAGE}`);
    if (afresh) this.clear();
    for (const tap of meanwhile) this.#insert(tap);
    // Oldest first, so that each row is put in at the top.
    for (const tap of page.items.toReversed()) this.#insert(fromRest(tap));
    this.#cursor = page.next_cursor;
    this.#meanwhile = [];
    this.#refresh();
  }

  clear() {
    this.#timeline.clear();
    this.#rows.clear();
    byId("taps").replaceChildren();
    this.#cursor = null;
  }

  /** Take a tap from the websocket; returns whether it was new. */
  arrive(event) {
    const tap = fromEvent(event);
    if (!this.#insert(tap, "fresh")) return false;
    this.#meanwhile.push(tap);
    this.#rings.tapped(tap);
    this.#refresh();
    announce(`New tap: ${this.#rings.name(tap.ring_id)}, ${tapKind(tap.kind)}`);
    return true;
  }

  /** Show the rings' names as they are now. */
  rename() {
    for (const [id, row] of this.#rows) {
      row.querySelector(".tap-ring").textContent = this.#rings.name(this.#timeline.get(id).ring_id);
    }
  }

  async #older() {
    try {
      const page = await this.#session.get(`/v1/rings/taps?limit=${PAGE}&cursor=${encodeURIComponent(this.#cursor)}`);
      for (const tap of page.items) this.#insert(fromRest(tap));
      this.#cursor = page.next_cursor;
      this.#refresh();
    } catch (error) {
      problem(error);
    }
  }

  #insert(tap, className = "") {
    const newer = this.#timeline.add(tap);
    if (newer === undefined) return false;
    const row = el(
      "li",
      { class: `tap ${className}`, "data-tap": tap.id },
      el("span", { class: "tap-mark", "data-kind": tap.kind, "aria-hidden": "true" }),
      el("span", { class: "tap-ring" }, this.#rings.name(tap.ring_id)),
      timeOf(tap.at, { class: "tap-time" }),
      el(
        "span",
        { class: "facts" },
        el("span", {}, tapKind(tap.kind)),
        el("span", {}, tapSource(tap.source)),
        tap.seq === null ? null : el("span", { title: "The ring's start count and tap count" }, `#${tap.boot}.${tap.seq}`),
        el("span", {}, tap.verified ? "verified" : "not verified"),
      ),
    );
    if (newer === null) byId("taps").prepend(row);
    else this.#rows.get(newer).after(row);
    this.#rows.set(tap.id, row);
    return true;
  }

  #refresh() {
    // A page that stays open for a day must not grow without end; REST lists all taps.
    const dropped = this.#timeline.trim(SHOWN_AT_MOST);
    for (const id of dropped) {
      this.#rows.get(id).remove();
      this.#rows.delete(id);
    }
    if (dropped.length > 0) this.#cursor = null;
    const full = this.#timeline.size === SHOWN_AT_MOST;
    byId("taps-count").textContent = this.#timeline.size
      ? `${full ? "the newest " : ""}${count(this.#timeline.size, "tap")}`
      : "";
    show(this.#timeline.size === 0, "taps-empty");
    show(this.#cursor !== null, "taps-older");
  }
}

const fromRest = (tap) => ({ ...tap, at: tap.tapped_at ?? tap.received_at });
const fromEvent = ({ data, occurred_at }) => ({ ...data, id: data.tap_id, at: data.tapped_at ?? occurred_at });
