// What has been achieved, and what comes next.

import { byId, dayOf, el, show } from "./dom.js";
import { announce, problem } from "./notices.js";
import { soon } from "./soon.js";

const NEXT = 3;

export class Achieved {
  #session;
  #again = soon(() => this.load(), problem);

  constructor(session) {
    this.#session = session;
  }

  async load() {
    const { unlocked, begun } = await this.#session.get("/v1/me/achievements");
    const next = begun.toSorted((one, other) => other.percent - one.percent).slice(0, NEXT);
    byId("achieved").replaceChildren(
      ...unlocked.map((one) => el("li", { "data-tier": one.tier }, el("strong", {}, one.name), " ", dayOf(one.unlocked_at, { class: "hint" }))),
      ...next.map((one) => el("li", {}, el("span", {}, one.name), " ", el("span", { class: "hint" }, `${one.current_value} of ${one.target_value}`))),
    );
    const points = unlocked.reduce((sum, one) => sum + one.points, 0);
    byId("achieved-points").textContent = points ? `${points} points` : "";
    show(unlocked.length + begun.length === 0, "achieved-empty");
  }

  apply({ type, data }) {
    if (type === "achievement.unlocked") announce(`Achieved: ${data.name}`);
    this.#again();
  }
}
