// The open conversation: its newest page by REST, then live, with drafts under way at the end.

import { busy, byId, el, show, timeOf } from "./dom.js";
import { problem } from "./notices.js";
import { Timeline } from "./timeline.js";

const PAGE = 50;
const NEAR_THE_END_PX = 80;

export class Thread {
  #session;
  #me;
  #timeline = new Timeline();
  #rows = new Map();
  #meanwhile = [];
  #conversationId = null;
  #cursor = null;
  #sending = 0;
  #early = [];

  constructor(session, me) {
    this.#session = session;
    this.#me = me;
    byId("thread-older").onclick = () => busy(byId("thread-older"), () => this.#older());
    this.clear();
  }

  has(id) {
    return this.#timeline.get(id) !== undefined;
  }

  clear() {
    this.#conversationId = null;
    this.#empty();
    byId("bubbles").replaceChildren();
    this.#refresh();
  }

  async load(conversationId, { afresh = false } = {}) {
    this.#conversationId = conversationId;
    const meanwhile = (this.#meanwhile = []);
    const page = await this.#session.get(`/v1/conversations/${conversationId}/messages?limit=${PAGE}`);
    // The reader may have turned to somebody else while this was loading.
    if (this.#conversationId !== conversationId) return;
    if (afresh) this.#empty();
    for (const message of [...page.items.toReversed(), ...meanwhile]) this.#insert(message);
    this.#cursor = page.next_cursor;
    this.#meanwhile = [];
    this.#refresh();
    this.#toEnd();
  }

  /** Belong to a conversation that came into being while its thread was open. */
  follow(conversationId) {
    this.#conversationId ??= conversationId;
  }

  /** Add a message that arrived. One's own may outrun the answer to its request: it waits for that. */
  arrive(message) {
    if (message.sender_id === this.#me.id && this.#sending > 0) this.#early.push(message);
    else this.#add(message);
  }

  /** Show a text that is being sent until `settle`; returns its line. */
  send(body) {
    this.#sending += 1;
    const line = this.#line({ body }, true, ["Sending…"]);
    line.classList.add("draft");
    byId("bubbles").append(line);
    this.#refresh();
    this.#toEnd();
    return line;
  }

  /** Put the message in the place of its draft. */
  settle(line, message) {
    line.remove();
    this.#add(message);
    this.#sent();
  }

  /** Keep the text of a draft that failed, with a way to send it again. */
  fail(line, error, sendAgain) {
    this.#markFailed(line, error.status === 0 || error.status >= 500 ? "Not confirmed" : "Not sent", sendAgain);
    this.#sent();
  }

  /** Show a text that failed while the thread was not open. */
  addFailed(body, sendAgain) {
    const line = this.#line({ body }, true, []);
    line.classList.add("draft");
    byId("bubbles").append(line);
    this.#markFailed(line, "Not confirmed", sendAgain);
    this.#refresh();
  }

  #add(message) {
    if (message.conversation_id !== this.#conversationId) return;
    const scroll = byId("thread-scroll");
    const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_THE_END_PX;
    this.#meanwhile.push(message);
    this.#insert(message);
    this.#refresh();
    if (atEnd || message.sender_id === this.#me.id) this.#toEnd();
  }

  #sent() {
    this.#sending -= 1;
    if (this.#sending === 0) for (const message of this.#early.splice(0)) this.#add(message);
  }

  #markFailed(line, words, sendAgain) {
    const retry = el("button", { type: "button", class: "plain" }, "Send again");
    retry.addEventListener("click", () => {
      line.remove();
      byId("body").focus();
      sendAgain();
    });
    line.classList.add("failed");
    line.querySelector(".bubble-meta").replaceChildren(`${words} `, retry);
  }

  async #older() {
    const id = this.#conversationId;
    try {
      const page = await this.#session.get(
        `/v1/conversations/${id}/messages?limit=${PAGE}&cursor=${encodeURIComponent(this.#cursor)}`,
      );
      if (this.#conversationId !== id) return;
      for (const message of page.items) this.#insert(message);
      this.#cursor = page.next_cursor;
      this.#refresh();
    } catch (error) {
      problem(error);
    }
  }

  #insert(message) {
    const newer = this.#timeline.add(message);
    if (newer === undefined) return;
    const line = this.#line(message, message.sender_id === this.#me.id, [timeOf(message.created_at)]);
    const next = newer === null ? byId("bubbles").querySelector(".draft") : this.#rows.get(newer);
    byId("bubbles").insertBefore(line, next);
    this.#rows.set(message.id, line);
  }

  #line(message, mine, meta) {
    return el(
      "li",
      { class: mine ? "bubble mine" : "bubble", "data-message": message.id },
      el("span", { class: "unseen" }, mine ? "You: " : `${byId("thread-title").textContent}: `),
      el("p", { class: "bubble-body" }, message.body ?? ""),
      el("p", { class: "bubble-meta" }, ...meta),
    );
  }

  #empty() {
    this.#timeline.clear();
    for (const line of this.#rows.values()) line.remove();
    this.#rows.clear();
    this.#cursor = null;
  }

  #refresh() {
    show(byId("bubbles").childElementCount === 0, "thread-empty");
    show(this.#cursor !== null, "thread-older");
  }

  #toEnd() {
    const scroll = byId("thread-scroll");
    scroll.scrollTop = scroll.scrollHeight;
  }
}
