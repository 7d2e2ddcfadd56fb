// Touches that wait for the user's word, and all of them for the timeline.

import { busy, byId, el, timeOf } from "./dom.js";
import { announce, clearProblem, notice, problem } from "./notices.js";
import { soon } from "./soon.js";

export class Touches {
  #session;
  #rings;
  #onChange;
  #reload;

  constructor(session, rings, { onChange }) {
    this.#session = session;
    this.#rings = rings;
    this.#onChange = onChange;
    this.#reload = soon(() => this.load(), problem);
  }

  async load() {
    const { items } = await this.#session.get("/v1/touches?limit=100");
    const waiting = items.filter((touch) => touch.is_asked && !touch.answer && ["half", "mutual"].includes(touch.state));
    byId("touches").replaceChildren(...waiting.map((touch) => this.#row(touch)));
    this.#onChange(items);
  }

  apply(event) {
    if (event.type === "touch.asked") announce("Somebody's ring touched yours: do you confirm?");
    if (event.type === "touch.exchanged") notice("Cards were exchanged.");
    this.#reload();
  }

  #row(touch) {
    const ring = touch.ring_id ? this.#rings.name(touch.ring_id) : "Your phone";
    const say = (label, word, tone) => {
      const button = el("button", { type: "button", class: tone, click: () => busy(button, () => this.#answer(touch, word)) }, label);
      return button;
    };
    return el(
      "li",
      { class: "touch", "data-touch": touch.id },
      el("p", {}, `${ring} was touched `, timeOf(touch.touched_at ?? touch.created_at), ". Were you there?"),
      el("div", { class: "actions" }, say("Confirm and share my card", "confirm", "primary"), say("Decline", "decline", "plain")),
    );
  }

  async #answer(touch, word) {
    try {
      await this.#session.post(`/v1/touches/${touch.id}/${word}`);
      clearProblem();
      await this.load();
    } catch (error) {
      problem(error);
    }
  }
}
