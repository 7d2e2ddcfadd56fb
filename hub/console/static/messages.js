// Conversations with the other demo users: who wrote, the open thread, and what is being sent.

import { byId, el, show, timeOf } from "./dom.js";
import { announce, clearProblem, problem } from "./notices.js";
import { Thread } from "./thread.js";
import { count, initials } from "./words.js";

const SEEN_AT_MOST = 5_000;

export class Messages {
  #session;
  #me;
  #people = new Map();
  #conversations = new Map();
  #seen = new Set();
  #open = null;
  #thread;

  constructor(session, me, users) {
    this.#session = session;
    this.#me = me;
    this.#thread = new Thread(session, me);
    byId("people").replaceChildren();
    for (const user of users) if (user.id !== me.id) this.#addPerson(user);
    byId("composer").onsubmit = (event) => {
      event.preventDefault();
      this.#send();
    };
    byId("body").onkeydown = (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    };
    this.#showThread();
  }

  /** Load the conversations, and the open thread from its newest page. */
  async load() {
    const page = await this.#session.get("/v1/conversations?limit=200");
    for (const conversation of page.items) {
      const person = this.#people.get(conversation.partner_id);
      const known = person?.conversation?.last_message_at;
      // After a gap nobody can tell how many were missed, only that something was said.
      const spokeUnseen = known !== undefined && (conversation.last_message_at ?? "") > (known ?? "");
      if (spokeUnseen && this.#open !== person) person.unread = Math.max(1, person.unread);
      this.#take(conversation);
    }
    const conversation = this.#open?.conversation;
    if (conversation) await this.#thread.load(conversation.id, { afresh: true });
  }

  clear() {
    this.#people.clear();
    this.#conversations.clear();
    this.#open = null;
    this.#thread.clear();
    this.#showThread();
  }

  /** Take a message from the websocket; returns whether it was new. */
  arrive(event) {
    const message = { ...event.data, id: event.data.message_id };
    if (this.#seen.has(message.id) || this.#thread.has(message.id)) return false;
    this.#remember(message.id);
    this.#place(message).catch(problem);
    return true;
  }

  /** Take note of a conversation that was opened; returns whether that was news. */
  opened(event) {
    const id = event.data.conversation_id;
    if (this.#conversations.has(id)) return false;
    this.#ask(id).catch(problem);
    return true;
  }

  async #ask(id) {
    this.#take(await this.#session.get(`/v1/conversations/${id}`));
  }

  async #place(message) {
    if (!this.#conversations.has(message.conversation_id)) await this.#ask(message.conversation_id);
    const person = this.#conversations.get(message.conversation_id);
    if (!person) return;
    const mine = message.sender_id === this.#me.id;
    person.conversation.last_message_at = message.created_at;
    if (this.#open === person) this.#thread.arrive(message);
    else if (!mine) person.unread += 1;
    this.#refresh(person);
    if (!mine) announce(`Message from ${person.user.full_name}: ${message.body ?? ""}`);
  }

  #remember(id) {
    this.#seen.add(id);
    if (this.#seen.size > SEEN_AT_MOST) this.#seen.delete(this.#seen.values().next().value);
  }

  #addPerson(user) {
    const about = el("span", { class: "person-about" });
    const unread = el("span", { class: "unread", hidden: true });
    const person = { user, conversation: null, unread: 0, failed: new Map(), about, badge: unread };
    person.button = el(
      "button",
      { type: "button", class: "person", "data-user": user.id, click: () => this.#choose(person) },
      el("span", { class: "avatar", "aria-hidden": "true" }, initials(user.full_name)),
      el("span", { class: "person-name" }, user.full_name),
      about,
      unread,
    );
    this.#people.set(user.id, person);
    byId("people").append(el("li", {}, person.button));
    this.#refresh(person);
  }

  #take(conversation) {
    const person = this.#people.get(conversation.partner_id);
    if (!person) return;
    person.conversation = conversation;
    this.#conversations.set(conversation.id, person);
    if (this.#open === person) this.#thread.follow(conversation.id);
    this.#refresh(person);
  }

  #refresh(person) {
    const last = person.conversation?.last_message_at;
    person.about.replaceChildren(...(last ? [timeOf(last)] : ["no messages yet"]));
    person.badge.hidden = person.unread === 0;
    person.badge.replaceChildren(
      el("span", { "aria-hidden": "true" }, String(person.unread)),
      el("span", { class: "unseen" }, `, ${count(person.unread, "unread message")}`),
    );
    if (this.#open === person) person.button.setAttribute("aria-current", "true");
    else person.button.removeAttribute("aria-current");
  }

  async #choose(person) {
    const before = this.#open;
    this.#open = person;
    person.unread = 0;
    if (before) this.#refresh(before);
    this.#refresh(person);
    this.#thread.clear();
    this.#showThread();
    for (const [draft, sendAgain] of person.failed) this.#thread.addFailed(draft.body, sendAgain);
    byId("body").focus();
    if (!person.conversation) return;
    try {
      await this.#thread.load(person.conversation.id);
    } catch (error) {
      problem(error);
    }
  }

  #showThread() {
    const person = this.#open;
    show(person !== null, "thread");
    show(person === null, "thread-none");
    if (!person) return;
    byId("thread-title").textContent = person.user.full_name;
    byId("body-label").textContent = `Message to ${person.user.full_name}`;
  }

  async #send() {
    const body = byId("body").value.trim();
    const person = this.#open;
    if (!body || !person) return;
    byId("body").value = "";
    await this.#deliver(person, { body, key: crypto.randomUUID() });
  }

  // The key stays with the text: sending again after a lost answer never makes two messages.
  async #deliver(person, draft) {
    const line = this.#thread.send(draft.body);
    const sendAgain = () => {
      person.failed.delete(draft);
      this.#deliver(person, draft);
    };
    try {
      const message = await this.#post(person, draft);
      clearProblem();
      this.#remember(message.id);
      this.#thread.settle(line, message);
      person.conversation.last_message_at = message.created_at;
      this.#refresh(person);
    } catch (error) {
      problem(error);
      person.failed.set(draft, sendAgain);
      this.#thread.fail(line, error, sendAgain);
    }
  }

  async #post(person, draft) {
    if (!person.conversation) {
      this.#take(await this.#session.post("/v1/conversations", { partner_id: person.user.id }));
    }
    const path = `/v1/conversations/${person.conversation.id}/messages`;
    return this.#session.post(path, { body: draft.body }, { "Idempotency-Key": draft.key });
  }
}
