// The rings as the edge sees them: status, link, battery, firmware; lost, found, released.

import { ask } from "./ask.js";
import { claimRing, releasedCode } from "./claim_ring.js";
import { busy, byId, el, show, timeOf } from "./dom.js";
import { announce, clearProblem, problem } from "./notices.js";
import { soon } from "./soon.js";
import { ringKind, ringLink, ringName, ringState } from "./words.js";

export class EdgeRings {
  #session;
  #rings = new Map();
  #onChange;
  #reload;

  constructor(session, { onChange }) {
    this.#session = session;
    this.#onChange = onChange;
    this.#reload = soon(() => this.load(), problem);
    const claim = byId("ring-claim");
    claim.onclick = () => busy(claim, () => claimRing(this.#session, () => this.#reload()).catch(problem));
  }

  /** The rings in use, the newest first. */
  get all() {
    return [...this.#rings.values()].filter((ring) => ring.status === "active" || ring.status === "lost");
  }

  name(ringId) {
    return ringName(this.#rings.get(ringId));
  }

  async load() {
    const page = await this.#session.get("/v1/rings?limit=200");
    this.#rings = new Map(page.items.map((ring) => [ring.id, ring]));
    this.#draw();
  }

  apply(event) {
    const ring = this.#rings.get(event.data.ring_id);
    // What an event does not carry is asked for, as after a claim.
    if (ring === undefined || event.type !== "ring.changed") return this.#reload();
    this.#rings.set(ring.id, { ...ring, ...event.data });
    return this.#draw();
  }

  #draw() {
    const focused = document.activeElement?.dataset?.act;
    byId("rings").replaceChildren(...[...this.#rings.values()].map((ring) => this.#card(ring)));
    if (focused) document.querySelector(`[data-act="${CSS.escape(focused)}"]`)?.focus();
    show(this.#rings.size === 0, "rings-empty");
    this.#onChange();
  }

  #card(ring) {
    const name = ringName(ring);
    const act = (label, path, options = {}) => {
      const run = options.ask ? () => this.#ask(ring, path, options) : () => busy(button, () => this.#post(ring, path));
      const button = el(
        "button",
        { type: "button", class: "plain", "aria-label": `${label}: ${name}`, "data-act": `${path} ${ring.id}`, click: run },
        label,
      );
      return button;
    };
    const active = ring.status === "active";
    const lost = ring.status === "lost";
    return el(
      "li",
      { class: "ring", "data-ring": ring.id },
      el("div", { class: "ring-head" }, el("h3", {}, name), el("span", { class: "badge", "data-state": ring.status }, ringState(ring.status))),
      el(
        "p",
        { class: "facts" },
        el("span", {}, ringKind(ring.kind)),
        ring.link ? el("span", { class: "ring-link", "data-link": ring.link }, ringLink(ring.link)) : null,
        ring.firmware_version ? el("span", {}, `Firmware ${ring.firmware_version}`) : null,
        ring.verified === false ? el("span", {}, "Not proved") : null,
      ),
      ring.battery_pct == null ? null : battery(name, ring.battery_pct),
      el("p", { class: "seen" }, ...(ring.last_seen_at ? ["Last seen ", timeOf(ring.last_seen_at)] : ["Not seen yet"])),
      el(
        "div",
        { class: "actions" },
        active ? act("Report lost", "lost", { ask: "Its taps are refused from now on, until you report it found.", tone: "danger" }) : null,
        lost ? act("Report found", "found") : null,
        active ? act("Release", "release", { ask: "You keep its history. Somebody else can then claim the ring.", tone: "danger" }) : null,
      ),
    );
  }

  #ask(ring, path, { ask: consequence, tone }) {
    const verb = path === "lost" ? "Report lost" : "Release";
    ask({
      title: `${verb}: ${ringName(ring)}?`,
      content: [el("p", {}, consequence)],
      confirm: verb,
      tone,
      yes: async () => {
        const answer = await this.#session.post(`/v1/rings/${ring.id}/${path}`);
        this.#done(ring, answer.ring ?? answer);
        return path === "release" ? releasedCode(ringName(ring), answer.claim_code) : undefined;
      },
    });
  }

  async #post(ring, path) {
    try {
      this.#done(ring, await this.#session.post(`/v1/rings/${ring.id}/${path}`));
      clearProblem();
    } catch (error) {
      problem(error);
    }
  }

  #done(ring, answer) {
    announce(`${ringName(ring)}: ${ringState(answer?.status ?? "")}`);
    this.#reload();
  }
}

function battery(name, percent) {
  const meter = el("meter", { min: 0, max: 100, low: 20, optimum: 100, value: percent, "aria-label": `Battery of ${name}` });
  return el("p", { class: "battery" }, meter, ` ${percent} % battery`);
}
