// One contact: what they are to the user, how the two fare and why, and the timeline of it.

import { ask, field } from "./ask.js";
import { byId, dayOf, el, show } from "./dom.js";
import { HealthChart } from "./health_chart.js";
import { announce, notice, problem } from "./notices.js";
import { soon } from "./soon.js";
import { bandWords, directionWords, duration, interactionKind, methodWords, trendWords } from "./words.js";

const PAGE = 20;
const PAGE_MAX = 200;
const CHART_DAYS = 365;
const DAY_MS = 86_400_000;
const CHART_POINTS = 122;
const KNOWN_MAX = 12;
const NOTED_KINDS = ["meeting", "call", "email", "message", "manual"];

export class Acquaintance {
  #session;
  #onOpen;
  #chart = new HealthChart();
  #contact = null;
  #cursor = null;
  #again = soon(() => this.load(), problem);

  constructor(session, { onOpen }) {
    this.#session = session;
    this.#onOpen = onOpen;
    byId("history-more").onclick = () => this.#history({ more: true }).catch(problem);
    byId("note").onclick = () => this.#note();
  }

  /** Show a contact, of whom at least `id` is known. */
  async open({ id, full_name: name }) {
    this.#contact = { id, full_name: name };
    this.#onOpen(id);
    byId("contact-name").textContent = name;
    show(true, "contact");
    await this.load().catch(problem);
    byId("contact-name").focus({ preventScroll: true });
    byId("contact").scrollIntoView({ block: "start" });
  }

  /** Read everything of the chosen contact anew; without one there is nothing to do. */
  async load() {
    if (this.#contact === null) return;
    const { id } = this.#contact;
    const of = (path) => this.#session.get(`/v1/contacts/${id}${path}`);
    const since = new Date(Date.now() - CHART_DAYS * DAY_MS).toISOString().slice(0, 10);
    let found;
    try {
      found = await Promise.all([
        of(""),
        of("/circles?limit=20"),
        of("/methods"),
        of(`/links?limit=${KNOWN_MAX}`),
        of("/health").catch(unlessUnknown),
        of(`/health/series?since=${since}&points=${CHART_POINTS}`),
        this.#history(),
      ]);
    } catch (error) {
      if (error.status !== 404 && error.status !== 410) throw error;
      // Nobody is there any more: taken back with an import, perhaps.
      if (this.#contact?.id === id) this.#close();
      return;
    }
    // Somebody else may have been chosen meanwhile.
    if (this.#contact?.id !== id) return;
    const [contact, circles, methods, links, health, series] = found;
    this.#contact = contact;
    byId("contact-name").textContent = contact.full_name;
    const about = [contact.job_title, contact.company, contact.location, ...circles.items.map((circle) => circle.name)];
    byId("contact-facts").replaceChildren(
      ...[...about, ...contact.tags.map((tag) => `#${tag}`)].filter(Boolean).map((words) => el("span", {}, words)),
    );
    byId("contact-card").replaceChildren(...card(contact, methods.items, links));
    this.#health(health);
    this.#chart.show(series);
  }

  apply({ type, data }) {
    if (this.#contact === null) return;
    const { id, full_name: name } = this.#contact;
    if (![data.contact_id, data.kept_id, data.merged_id].includes(id)) return;
    if (type === "health.changed") announce(`${name}: ${bandWords(data.band)}, ${Math.round(data.score)}`);
    if (type === "contact.archived") this.#close();
    else if (type === "contact.merged" && data.merged_id === id) this.open({ id: data.kept_id, full_name: name });
    else this.#again();
  }

  #close() {
    this.#contact = null;
    this.#onOpen("");
    show(false, "contact");
  }

  #health(health) {
    byId("score").replaceChildren(
      ...(health
        ? [
            el("strong", { id: "score-now" }, String(Math.round(health.score))),
            el("span", { class: "badge", "data-band": health.band }, bandWords(health.band)),
            el("span", {}, `${trendWords(health.trend)}; contact is wanted every ${Math.round(health.cadence_days)} days, ${isPast(health.next_touch_at) ? "and due since" : "next by"} `, dayOf(health.next_touch_at)),
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
    const list = byId("history");
    const isSame = list.dataset.of === id;
    // Anew: as far as it was shown.
    const limit = more || !isSame ? PAGE : Math.min(Math.max(PAGE, list.children.length), PAGE_MAX);
    const cursor = more ? `&cursor=${encodeURIComponent(this.#cursor)}` : "";
    const page = await this.#session.get(`/v1/interactions?contact_id=${id}&limit=${limit}${cursor}`);
    if (this.#contact?.id !== id) return;
    if (!more) list.replaceChildren();
    list.dataset.of = id;
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
  const { subject, direction, is_private: isPrivate } = interaction;
  const kind = interactionKind(interaction.kind);
  const minutes = interaction.duration_seconds ? duration(interaction.duration_seconds) : "";
  const facts = [subject ? kind : "", directionWords(direction), minutes, isPrivate && "private"].filter(Boolean);
  return el(
    "li",
    { class: "history-entry", "data-kind": interaction.kind },
    dayOf(interaction.occurred_at),
    el("span", { class: "history-subject" }, subject ?? kind),
    facts.length ? el("span", { class: "hint" }, facts.join(" · ")) : null,
  );
}

/** What is known of somebody beside how they fare: pairs of a list of terms. */
function card(contact, methods, links) {
  const known = links.items.map((link) => link.full_name).join(", ");
  const rows = [
    ...methods.map((method) => [methodWords(method.kind), [method.value, method.label].filter(Boolean).join(" · ")]),
    ["Birthday", contact.birthday && birthday(contact.birthday)],
    ["Knows", known && (links.has_more ? `${known} and others` : known)],
    ["Notes", contact.notes],
  ];
  return rows.filter(([, words]) => words).map(([term, words]) => el("div", {}, el("dt", {}, term), el("dd", {}, words)));
}

/** A date, or one without its year: `--12-10`. */
function birthday(written) {
  const hasYear = !written.startsWith("--");
  const at = new Date(`${hasYear ? written : written.replace("-", "2000")}T00:00:00Z`);
  return at.toLocaleDateString([], { day: "numeric", month: "long", ...(hasYear && { year: "numeric" }), timeZone: "UTC" });
}

const isPast = (iso) => Date.parse(iso) < Date.now();

/** A contact whom nobody wants to hear of and nothing was had to do with has no health. */
function unlessUnknown(error) {
  if (error.code === "health.unknown") return null;
  throw error;
}
