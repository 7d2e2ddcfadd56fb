// What the hub noticed: whom it reminds of, who stands there twice, what it found. Each until something came of it.

import { arrange, busy, byId, el, show } from "./dom.js";
import { announce, problem } from "./notices.js";
import { soon } from "./soon.js";

const ALERTS = 20;
const SUGGESTIONS = 3;
const INSIGHTS = 5;
const UNDONE_WITHIN_MS = 3_600_000;
const SAID = { "nudge.created": "The hub reminds you of somebody", "insight.created": "The hub has noticed something" };

export class ForYou {
  #session;
  #onChoose;
  #reminded = new Set();
  #again = soon(() => this.load(), problem);

  constructor(session, { onChoose }) {
    this.#session = session;
    this.#onChoose = onChoose;
  }

  async load() {
    const get = (path, limit) => this.#session.get(`${path}limit=${limit}`).then((page) => page.items);
    const [alerts, merges, pairs, insights] = await Promise.all([
      get("/v1/alerts?status=open&", ALERTS),
      get("/v1/contacts/merges?", 1),
      get("/v1/contacts/merge-suggestions?", SUGGESTIONS),
      get("/v1/insights?", INSIGHTS),
    ]);
    const done = merges.filter((merge) => merge.undone_at === null && Date.now() - Date.parse(merge.created_at) < UNDONE_WITHIN_MS);
    this.#reminded = new Set(alerts.map((alert) => alert.contact_id));
    const rows = [
      ...alerts.map((alert) => [`${alert.id} ${alert.text}`, () => this.#alert(alert)]),
      ...done.map((merge) => [merge.id, () => this.#merged(merge)]),
      ...pairs.map((pair) => [`${pair.one.contact_id} ${pair.other.contact_id} ${pair.one.full_name} ${pair.other.full_name}`, () => this.#pair(pair)]),
      ...insights.map((insight) => [insight.id, () => this.#insight(insight)]),
    ];
    const hadFocus = byId("hints").contains(document.activeElement);
    arrange(byId("hints"), rows);
    // The button that was pressed is gone with its row.
    if (hadFocus && document.activeElement === document.body) byId("hints-title").focus();
    show(rows.length === 0, "hints-empty");
  }

  apply({ type, data }) {
    // Of contacts only who is one with whom: an import makes thousands.
    if (type.startsWith("contact.") && !type.endsWith("merged")) return;
    // Whom one was in touch with one need not be reminded of any more.
    if (type.startsWith("health.") && !this.#reminded.has(data.contact_id)) return;
    if (SAID[type]) announce(SAID[type]);
    this.#again();
  }

  #alert(alert) {
    const close = (status) => this.#session.patch(`/v1/alerts/${alert.id}`, { status });
    return this.#row(alert.kind, alert.text, { id: alert.contact_id, full_name: alert.full_name }, [
      ["Done", () => close("done")],
      ["Not now", () => close("dismissed")],
    ]);
  }

  #pair({ one, other }) {
    return this.#row("duplicate", `${one.full_name} and ${other.full_name} seem to be one person.`, one, [
      ["Merge", () => this.#session.post(`/v1/contacts/${one.contact_id}/merge`, { merged_id: other.contact_id })],
      ["They are two", () => this.#session.put(`/v1/contacts/${one.contact_id}/distinctions/${other.contact_id}`)],
    ]);
  }

  #merged(merge) {
    return this.#row("merged", "Two contacts are one now.", { id: merge.kept_id, full_name: "" }, [
      ["Undo", () => this.#session.post(`/v1/contacts/merges/${merge.id}/undo`)],
    ]);
  }

  #insight(insight) {
    const [id, second] = insight.contact_ids;
    const who = second === undefined && id ? { id, full_name: "" } : null;
    return this.#row(insight.kind, insight.content, who, [
      ["Dismiss", () => this.#session.post(`/v1/insights/${insight.id}/dismiss`)],
    ]);
  }

  #row(kind, words, who, deeds) {
    const act = ([label, deed]) => {
      const button = el("button", { type: "button", class: "plain", "aria-label": `${label}: ${words}`, click: () => busy(button, () => this.#do(deed)) }, label);
      return button;
    };
    const text = who ? el("button", { type: "button", class: "words", click: () => this.#onChoose({ id: who.contact_id ?? who.id, full_name: who.full_name }) }, words) : words;
    return el("li", { "data-kind": kind }, el("p", {}, text), ...deeds.map(act));
  }

  async #do(deed) {
    try {
      await deed();
      await this.load();
    } catch (error) {
      problem(error);
    }
  }
}
