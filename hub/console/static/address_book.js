// The address book: everybody, a circle or a tag, or what a search finds; each with how it fares.

import { arrange, byId, el, show } from "./dom.js";
import { problem } from "./notices.js";
import { soon } from "./soon.js";
import { bandWords, count } from "./words.js";

const PAGE = 50;
const PAGE_MAX = 200;
const TYPED_MS = 250;
// While a file is brought in, contacts come by the hundred.
const NEWS_MS = 500;
const ADDRESSES = [
  ["linkedin", /linkedin\.com\//u],
  ["email", /^\S+@\S+\.\S+$/u],
  ["phone", /^[+(]?[\d\s()./-]{6,}$/u],
];

export class AddressBook {
  #session;
  #onChoose;
  #cursor = null;
  #asked = 0;
  #chosen = "";
  #again = soon(() => this.#show(), problem, NEWS_MS);

  constructor(session, { onChoose }) {
    this.#session = session;
    this.#onChoose = onChoose;
    let typed = 0;
    const anew = () => this.#show({ afresh: true }).catch(problem);
    byId("finder-text").oninput = () => {
      clearTimeout(typed);
      typed = setTimeout(anew, TYPED_MS);
    };
    byId("finder-among").onchange = byId("finder-order").onchange = anew;
    byId("finder").onsubmit = (event) => event.preventDefault();
    byId("contacts-more").onclick = () => this.#show({ more: true }).catch(problem);
  }

  /** Show the list anew, as far as it was shown, and what it can be narrowed to. */
  async load() {
    await Promise.all([this.#show(), this.#offer()]);
  }

  apply(event) {
    if (event.type !== "health.changed") return this.#again();
    const row = byId(`contact-${event.data.contact_id}`);
    if (row === null) return undefined;
    row.dataset.key = row.id;
    return row.querySelector(".band").replaceWith(band(event.data));
  }

  /** Show who is looked at. */
  mark(id) {
    this.#chosen = id;
    for (const row of byId("contacts").children) setCurrent(row.firstChild, row.id === `contact-${id}`);
  }

  async #offer() {
    const [circles, tags] = await Promise.all([this.#session.get("/v1/circles?limit=100"), this.#session.get("/v1/contacts/tags?limit=100")]);
    const among = byId("finder-among");
    const { value } = among;
    const group = (label, options) => (options.length ? [el("optgroup", { label }, ...options)] : []);
    among.replaceChildren(
      el("option", { value: "" }, "everybody"),
      ...group("Circles", circles.items.map((circle) => el("option", { value: `circle ${circle.id}` }, circle.name))),
      ...group("Tags", tags.items.map(({ tag }) => el("option", { value: `tag ${tag}` }, `#${tag}`))),
    );
    among.value = value;
    if (among.selectedIndex < 0) among.value = "";
  }

  async #show({ more = false, afresh = false } = {}) {
    const asked = (this.#asked += 1);
    const list = byId("contacts");
    const shown = afresh ? 0 : list.children.length;
    const page = await this.#page(more ? { limit: PAGE, cursor: this.#cursor } : { limit: Math.min(Math.max(PAGE, shown), PAGE_MAX) });
    const bands = await this.#bands(page.items);
    // A slower answer to what was asked before must not replace what is asked now.
    if (asked !== this.#asked) return;
    const focused = document.activeElement?.closest("#contacts > li")?.id;
    const rows = page.items.map((contact) => this.#row(contact, bands.get(contact.id)));
    const before = more ? [...list.children].map((row) => [row.dataset.key, () => row]) : [];
    arrange(list, [...before, ...rows]);
    if (afresh) byId("contacts-scroll").scrollTop = 0;
    // Who pressed for more goes on where the new ones begin; who was at a row that changed stays there.
    if (more) list.children[shown]?.firstChild.focus();
    else if (focused) byId(focused)?.firstChild.focus();
    this.#cursor = page.next_cursor;
    show(page.has_more, "contacts-more");
    const number = list.children.length;
    byId("contacts-empty").textContent = emptyWords();
    show(number === 0, "contacts-empty");
    byId("contacts-count").textContent = page.has_more ? `the first ${number}` : count(number, "contact");
  }

  async #page({ limit, cursor }) {
    const text = byId("finder-text").value.trim();
    const [kind, ...words] = byId("finder-among").value.split(" ");
    show(text === "", "finder-lists");
    show(kind !== "circle", "finder-orders");
    if (text) {
      const address = ADDRESSES.find(([, pattern]) => pattern.test(text));
      const wanted = address ? { address: { kind: address[0], value: text } } : { text };
      return this.#session.post("/v1/contacts/search", { ...wanted, limit, ...(cursor && { cursor }) });
    }
    const query = new URLSearchParams({ limit, ...(cursor && { cursor }) });
    if (kind === "circle") {
      const page = await this.#session.get(`/v1/circles/${words[0]}/members?${query}`);
      return { ...page, items: page.items.map((member) => ({ id: member.contact_id, full_name: member.full_name, tags: [] })) };
    }
    query.set("order", byId("finder-order").value);
    if (kind === "tag") query.set("tag", words.join(" "));
    return this.#session.get(`/v1/contacts?${query}`);
  }

  async #bands(contacts) {
    if (contacts.length === 0) return new Map();
    const query = new URLSearchParams([["limit", PAGE_MAX], ...contacts.map(({ id }) => ["contact_id", id])]);
    const page = await this.#session.get(`/v1/health?${query}`);
    return new Map(page.items.map((item) => [item.contact_id, item]));
  }

  /** The key of a row, which is all that it shows, and how to make it. */
  #row(contact, health) {
    const about = [contact.job_title, contact.company, ...contact.tags.map((tag) => `#${tag}`)].filter(Boolean).join(" · ");
    const make = () => {
      const button = el(
        "button",
        { type: "button", class: "person", click: () => this.#onChoose(contact) },
        el("span", { class: "person-words" }, el("span", { class: "person-name" }, contact.full_name), about ? el("span", { class: "person-about" }, about) : null),
        band(health),
      );
      setCurrent(button, contact.id === this.#chosen);
      return el("li", { id: `contact-${contact.id}` }, button);
    };
    return [JSON.stringify([contact.id, contact.full_name, about, health?.band, Math.round(health?.score)]), make];
  }
}

function setCurrent(button, is) {
  if (is) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
}

function emptyWords() {
  if (byId("finder-text").value.trim()) return "Nobody is found.";
  if (byId("finder-among").value) return "Nobody is among them.";
  return "Nobody is in it yet. Bring a file in, or let your ring touch somebody's.";
}

/** The band of a relationship with its score; colour is never all that tells. */
function band(health) {
  if (!health) return el("span", { class: "band" });
  return el("span", { class: "band badge", "data-band": health.band }, `${bandWords(health.band)} ${Math.round(health.score)}`);
}
