// One contact: what they are to the user, how the two fare and why, and the timeline of it.

import { ask, field } from "./ask.js";
import { byId, el, show, timeOf } from "./dom.js";
import { HealthChart } from "./health_chart.js";
import { announce, notice, problem } from "./notices.js";
import { soon } from "./soon.js";
import { bandWords, directionWords, duration, interactionKind, trendWords } from "./words.js";

const PAGE = 20;
const NOTED_KINDS = ["meeting", "call", "email", "message", "manual"];

export class Acquaintance {
  #session;
  #chart = new HealthChart();
  #contact = null;
  #cursor = null;
  #again = soon(() => this.load(), problem);

  constructor(session) {
    this.#session = session;
    byId("history-more").onclick = () => this.#history({ more: true }).catch(problem);
    byId("note").onclick = () => this.#note();
  }

  async open(contact) {
    this.#contact = contact;
    byId("contact-name").textContent = contact.full_name;
    show(false, "contact-none");
    show(true, "contact-some");
    await this.load().catch(problem);
    byId("contact-name").focus();
  }

  /** Read everything of the chosen contact anew; without one there is nothing to do. */
  async load() {
    if (this.#contact === null) return;
    const { id } = this.#contact;
    const of = (path) => this.#session.get(`/v1/contacts/${id}${path}`);
    const [contact, circles, health, snapshots] = await Promise.all([
      of(""),
      of("/circles?limit=20"),
      of("/health").catch(unlessUnknown),
      of("/health/history?limit=200"),
      this.#history(),
    ]);
    // Somebody else may have been chosen meanwhile.
    if (this.#contact.id !== id) return;
    byId("contact-name").textContent = contact.full_name;
    const about = [contact.job_title, contact.company, contact.location, ...circles.items.map((circle) => circle.name)];
    byId("contact-facts").replaceChildren(
      ...[...about, ...contact.tags.map((tag) => `#${tag}`)].filter(Boolean).map((words) => el("span", {}, words)),
    );
    this.#health(health);
    this.#chart.show(snapshots.items);
  }

  apply({ type, data }) {
    if (this.#contact === null) return;
    const ids = [data.contact_id, data.kept_id, data.merged_id];
    if (!ids.includes(this.#contact.id)) return;
    if (type === "health.changed") announce(`${this.#contact.full_name}: ${bandWords(data.band)}, ${Math.round(data.score)}`);
    this.#again();
  }

  #health(health) {
    byId("score").replaceChildren(
      ...(health
        ? [
            el("strong", { id: "score-now" }, String(Math.round(health.score))),
            el("span", { class: "badge", "data-band": health.band }, bandWords(health.band)),
            el("span", {}, `${trendWords(health.trend)}, contact wanted every ${Math.round(health.cadence_days)} days, next by `),
            timeOf(health.next_touch_at),
          ]
        : ["No contact yet, and none wished for: put them into a circle to be reminded."]),
    );
    byId("components").replaceChildren(
      ...(health?.components ?? []).map((part) =>
        el(
          "li",
          {},
          el("span", { class: "component-name" }, part.name),
          el("meter", { min: 0, max: 1, value: part.value, "aria-label": part.name }),
          el("span", { class: "hint" }, part.explanation),
        )),
    );
  }

  async #history({ more = false } = {}) {
    const { id } = this.#contact;
    const cursor = more && this.#cursor ? `&cursor=${encodeURIComponent(this.#cursor)}` : "";
    const page = await this.#session.get(`/v1/interactions?contact_id=${id}&limit=${PAGE}${cursor}`);
    if (this.#contact.id !== id) return;
    const list = byId("history");
    if (!more) list.replaceChildren();
    list.append(...page.items.map(entry));
    this.#cursor = page.next_cursor;
    show(page.has_more, "history-more");
    show(list.children.length === 0, "history-empty");
  }

  #note() {
    const { id, full_name: name } = this.#contact;
    const kind = el("select", { id: "note-kind" }, ...NOTED_KINDS.map((each) => el("option", { value: each }, interactionKind(each))));
    const subject = field("note-subject", "About", { maxlength: 200 });
    const minutes = field("note-minutes", "Minutes, if it matters", { type: "number", min: 0, max: 43_200, step: 1 });
    ask({
      title: `Contact with ${name}`,
      content: [el("p", { class: "field" }, el("label", { for: kind.id }, "Kind"), kind), subject.row, minutes.row],
      confirm: "Note it",
      yes: async () => {
        await this.#session.post("/v1/interactions", {
          contact_id: id,
          kind: kind.value,
          ...(subject.input.value.trim() && { subject: subject.input.value.trim() }),
          ...(minutes.input.value && { duration_seconds: minutes.input.valueAsNumber * 60 }),
        });
        notice(`Noted. The health of ${name} follows in a moment.`);
      },
    });
  }
}

function entry(interaction) {
  const minutes = interaction.duration_seconds ? duration(interaction.duration_seconds) : "";
  const facts = [interactionKind(interaction.kind), directionWords(interaction.direction), minutes, interaction.is_private && "private"];
  return el(
    "li",
    { class: "history-entry", "data-kind": interaction.kind },
    timeOf(interaction.occurred_at),
    el("span", { class: "history-subject" }, interaction.subject ?? interactionKind(interaction.kind)),
    el("span", { class: "hint" }, facts.filter(Boolean).join(" · ")),
  );
}

/** A contact whom nobody wants to hear of and nothing was had to do with has no health. */
function unlessUnknown(error) {
  if (error.code === "health.unknown") return null;
  throw error;
}
