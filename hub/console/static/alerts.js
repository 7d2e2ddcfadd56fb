// Whom the hub reminds of: each alert until something came of it.

import { busy, byId, el, show, timeOf } from "./dom.js";
import { announce, problem } from "./notices.js";
import { soon } from "./soon.js";

const SHOWN = 20;

export class Alerts {
  #session;
  #again = soon(() => this.load(), problem);

  constructor(session) {
    this.#session = session;
  }

  async load() {
    const page = await this.#session.get(`/v1/alerts?status=open&limit=${SHOWN}`);
    byId("alerts").replaceChildren(...page.items.map((alert) => this.#row(alert)));
    show(page.items.length === 0, "alerts-empty");
  }

  apply() {
    announce("The hub reminds you of somebody");
    this.#again();
  }

  #row(alert) {
    const close = (words, status, tone) => {
      const button = el("button", { type: "button", class: tone, "aria-label": `${words}: ${alert.text}`, click: () => busy(button, () => this.#close(alert, status)) }, words);
      return button;
    };
    return el(
      "li",
      { "data-kind": alert.kind },
      el("p", {}, alert.text, " ", timeOf(alert.created_at, { class: "hint" })),
      close("Done", "done", "primary"),
      close("Not now", "dismissed", "plain"),
    );
  }

  async #close(alert, status) {
    try {
      await this.#session.patch(`/v1/alerts/${alert.id}`, { status });
      await this.load();
    } catch (error) {
      problem(error);
    }
  }
}
