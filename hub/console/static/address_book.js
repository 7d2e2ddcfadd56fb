// The address book: a list in four orders, or what a search finds; each with how it fares.

import { byId, el, show } from "./dom.js";
import { problem } from "./notices.js";
import { soon } from "./soon.js";
import { bandWords, count } from "./words.js";

const PAGE = 50;
const TYPED_MS = 250;

export class AddressBook {
  #session;
  #onChoose;
  #cursor = null;
  #asked = 0;
  #bands = new Map();
  #chosen = "";
  #again = soon(() => this.load(), problem);

  constructor(session, { onChoose }) {
    this.#session = session;
    this.#onChoose = onChoose;
    let typed = 0;
    byId("finder-text").oninput = () => {
      clearTimeout(typed);
      typed = setTimeout(() => this.load().catch(problem), TYPED_MS);
    };
    byId("finder-order").onchange = () => this.load().catch(problem);
    byId("finder").onsubmit = (event) => event.preventDefault();
    byId("contacts-more").onclick = () => this.#show({ more: true }).catch(problem);
  }

  /** Show the list from its beginning, with the bands as they are now. */
  async load() {
    const health = await this.#session.get("/v1/health?limit=200");
    for (const item of health.items) this.#bands.set(item.contact_id, item);
    await this.#show();
  }

  apply(event) {
    if (event.type !== "health.changed") return this.#again();
    const { data } = event;
    this.#bands.set(data.contact_id, data);
    const row = byId(`contact-${data.contact_id}`);
    return row?.querySelector(".band").replaceWith(band(data));
  }

  async #show({ more = false } = {}) {
    const asked = (this.#asked += 1);
    const page = await this.#page(more ? this.#cursor : null);
    // A slower answer to what was asked before must not replace what is asked now.
    if (asked !== this.#asked) return;
    const list = byId("contacts");
    if (!more) list.replaceChildren();
    list.append(...page.items.map((contact) => this.#row(contact)));
    this.#cursor = page.next_cursor;
    show(page.has_more, "contacts-more");
    show(list.children.length === 0, "contacts-empty");
    byId("contacts-count").textContent = `${count(list.children.length, "contact")}${page.has_more ? " and more" : ""}`;
  }

  #page(cursor) {
    const text = byId("finder-text").value.trim();
    show(text === "", "finder-orders");
    if (text) return this.#session.post("/v1/contacts/search", { text, limit: PAGE, ...(cursor && { cursor }) });
    const order = byId("finder-order").value;
    return this.#session.get(`/v1/contacts?order=${order}&limit=${PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
  }

  #row(contact) {
    const choose = () => {
      this.#chosen = contact.id;
      for (const other of byId("contacts").querySelectorAll("button")) other.removeAttribute("aria-current");
      button.setAttribute("aria-current", "true");
      this.#onChoose(contact);
    };
    const about = [contact.job_title, contact.company, ...contact.tags.map((tag) => `#${tag}`)].filter(Boolean).join(" · ");
    const button = el(
      "button",
      { type: "button", class: "person", "aria-current": contact.id === this.#chosen && "true", click: choose },
      el("span", { class: "person-words" }, el("span", { class: "person-name" }, contact.full_name), el("span", { class: "person-about" }, about)),
      band(this.#bands.get(contact.id)),
    );
    return el("li", { id: `contact-${contact.id}` }, button);
  }
}

/** The band of a relationship with its score; colour is never all that tells. */
function band(health) {
  if (!health) return el("span", { class: "band" });
  return el("span", { class: "band badge", "data-band": health.band }, `${bandWords(health.band)} ${Math.round(health.score)}`);
}
