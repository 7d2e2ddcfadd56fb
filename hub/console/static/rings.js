// The user's rings: press, rename, report lost.

import { busy, byId, el, show, timeOf } from "./dom.js";
import { announce, clearProblem, notice, problem } from "./notices.js";
import { ringKind, ringName, ringState } from "./words.js";

const PRESSES_KEPT = 50;

export class Rings {
  #session;
  #cards = new Map();
  #rings = new Map();
  #pressed = new Map();
  #arrived = new Map();
  #onChange;

  constructor(session, { onChange }) {
    this.#session = session;
    this.#onChange = onChange;
  }

  name(ringId) {
    return ringName(this.#rings.get(ringId));
  }

  async load() {
    const page = await this.#session.get("/v1/rings?limit=200");
    const listed = new Set(page.items.map((ring) => ring.id));
    for (const [id, card] of this.#cards) {
      if (listed.has(id)) continue;
      card.root.remove();
      this.#cards.delete(id);
      this.#rings.delete(id);
    }
    for (const ring of page.items) this.#put(ring);
    show(page.items.length === 0, "rings-empty");
    this.#onChange();
  }

  clear() {
    this.#cards.clear();
    this.#rings.clear();
    byId("rings").replaceChildren();
  }

  /** Take over what an event says of a ring; returns whether that was news. */
  apply(event) {
    const { ring_id: id, label, status } = event.data;
    const ring = this.#rings.get(id);
    if (ring === undefined) {
      this.load().catch(problem);
      return true;
    }
    if (ring.label === label && ring.status === status) return false;
    this.#put({ ...ring, label, status });
    this.#onChange();
    return true;
  }

  /** Note that a tap arrived; tells how long it took when this page pressed the ring. */
  tapped(tap) {
    const ring = this.#rings.get(tap.ring_id);
    if (ring) this.#put({ ...ring, last_seen_at: tap.at });
    this.#remember(this.#arrived, `${tap.ring_id} ${tap.boot} ${tap.seq}`, performance.now());
    this.#measure(tap.ring_id, tap.boot, tap.seq);
  }

  #put(ring) {
    this.#rings.set(ring.id, ring);
    let card = this.#cards.get(ring.id);
    if (card === undefined) {
      card = this.#makeCard(ring.id);
      this.#cards.set(ring.id, card);
      byId("rings").append(card.root);
    }
    card.name.textContent = ringName(ring);
    card.state.textContent = ringState(ring.status);
    card.state.dataset.state = ring.status;
    card.facts.replaceChildren(
      el("span", {}, ringKind(ring.kind)),
      ...(ring.battery_pct === null ? [] : [el("span", {}, `${ring.battery_pct} % battery`)]),
    );
    card.seen.replaceChildren(...(ring.last_seen_at ? ["Last seen ", timeOf(ring.last_seen_at)] : ["Not seen yet"]));
    const active = ring.status === "active";
    card.press.hidden = card.lost.hidden = !active;
    const label = ringName(ring);
    card.press.setAttribute("aria-label", `Tap ring: ${label}`);
    card.rename.setAttribute("aria-label", `Rename: ${label}`);
    card.lost.setAttribute("aria-label", `Report lost: ${label}`);
  }

  #makeCard(id) {
    const name = el("h3", {});
    const state = el("span", { class: "badge" });
    const facts = el("p", { class: "facts" });
    const seen = el("p", { class: "seen" });
    const took = el("p", { class: "took", hidden: true });
    const press = el(
      "button",
      { type: "button", class: "primary", click: () => busy(press, () => this.#press(id)) },
      "Tap ring",
    );
    const rename = el("button", { type: "button", class: "plain", click: () => this.#edit(id) }, "Rename");
    const lost = el("button", { type: "button", class: "plain", click: () => this.#askLost(id) }, "Report lost");
    const actions = el("div", { class: "actions" }, press, rename, lost);
    const head = el("div", { class: "ring-head" }, name, state);
    const root = el("li", { class: "ring", "data-ring": id }, head, facts, seen, actions, took);
    return { root, name, state, facts, seen, took, press, rename, lost, actions };
  }

  async #press(id) {
    const started = performance.now();
    try {
      const { boot, seq } = await this.#session.post(`/v1/development/rings/${id}/tap`);
      clearProblem();
      this.#remember(this.#pressed, `${id} ${boot} ${seq}`, started);
      this.#measure(id, boot, seq);
    } catch (error) {
      problem(error);
    }
  }

  // The tap and the answer to the press race each other; whoever comes second does the sum.
  #measure(id, boot, seq) {
    const key = `${id} ${boot} ${seq}`;
    if (!this.#pressed.has(key) || !this.#arrived.has(key)) return;
    const took = this.#cards.get(id)?.took;
    if (!took) return;
    took.textContent = `Arrived here ${Math.round(this.#arrived.get(key) - this.#pressed.get(key))} ms after the press.`;
    took.hidden = false;
  }

  #remember(map, key, value) {
    map.set(key, value);
    if (map.size > PRESSES_KEPT) map.delete(map.keys().next().value);
  }

  #edit(id) {
    const card = this.#cards.get(id);
    const ring = this.#rings.get(id);
    const field = el("input", { id: `label-${id}`, maxlength: 80, required: true, autocomplete: "off" });
    field.value = ring.label ?? "";
    const close = () => {
      form.replaceWith(card.actions);
      card.rename.focus();
    };
    const save = async () => {
      try {
        this.#put(await this.#session.patch(`/v1/rings/${id}`, { label: field.value.trim() }));
        clearProblem();
        this.#onChange();
        close();
        announce(`Renamed to ${field.value.trim()}`);
      } catch (error) {
        problem(error);
      }
    };
    const submit = el("button", { type: "submit", class: "primary" }, "Save");
    const form = el(
      "form",
      {
        class: "rename",
        submit: (event) => {
          event.preventDefault();
          busy(submit, save);
        },
        keydown: (event) => event.key === "Escape" && close(),
      },
      el("label", { for: field.id }, "Name of the ring"),
      field,
      el("div", { class: "actions" }, submit, el("button", { type: "button", class: "plain", click: close }, "Cancel")),
    );
    card.actions.replaceWith(form);
    field.select();
    field.focus();
  }

  #askLost(id) {
    const dialog = byId("lost-dialog");
    const confirm = byId("lost-confirm");
    byId("lost-name").textContent = this.name(id);
    byId("lost-keep").onclick = () => dialog.close();
    confirm.onclick = () =>
      busy(confirm, async () => {
        try {
          this.#put(await this.#session.post(`/v1/rings/${id}/lost`));
          clearProblem();
          notice(`${this.name(id)} is reported lost.`, "warn");
        } catch (error) {
          problem(error);
        }
        dialog.close();
        // The button that opened the dialog is gone with the ring's actions.
        this.#cards.get(id)?.rename.focus();
      });
    dialog.showModal();
    byId("lost-keep").focus();
  }
}
