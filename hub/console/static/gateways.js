// The gateways: a card each, made anew when something of it changes.

import { ask, field } from "./ask.js";
import { codeShown } from "./claim_command.js";
import { byId, el, show } from "./dom.js";
import { card } from "./gateway_card.js";
import { announce, problem } from "./notices.js";
import { soon } from "./soon.js";

export class Gateways {
  #session;
  #rings;
  #gateways = new Map();
  #reload;

  constructor(session, rings) {
    this.#session = session;
    this.#rings = rings;
    this.#reload = soon(() => this.load(), problem);
    byId("gateway-add").onclick = () => this.#add();
  }

  async load() {
    const page = await this.#session.get("/v1/gateways?limit=200");
    this.#gateways = new Map(page.items.map((gateway) => [gateway.id, gateway]));
    this.#draw();
  }

  apply(event) {
    const words = { "gateway.online": "is online", "gateway.offline": "is offline", "gateway.alerted": "needs attention" };
    if (words[event.type]) announce(`${event.data.name} ${words[event.type]}`);
    this.#reload();
  }

  #draw() {
    const focused = document.activeElement?.dataset?.act;
    const open = new Set([...document.querySelectorAll("details[open][data-gateway]")].map((item) => item.dataset.gateway));
    byId("gateways").replaceChildren(
      ...[...this.#gateways.values()].map((gateway) =>
        card(gateway, { session: this.#session, rings: this.#rings, changed: () => this.#reload(), isOpen: open.has(gateway.id) }),
      ),
    );
    if (focused) document.querySelector(`[data-act="${CSS.escape(focused)}"]`)?.focus();
    show(this.#gateways.size === 0, "gateways-empty");
  }

  #add() {
    const name = field("gateway-name", "Name", { maxlength: 80, required: true, placeholder: "Hall" });
    ask({
      title: "Add a gateway",
      content: [name.row],
      confirm: "Make a claim code",
      yes: async () => {
        const made = await this.#session.post("/v1/gateways", { name: name.input.value.trim() });
        this.#reload();
        return codeShown(made.name, made.claim_code, made.claim_expires_at);
      },
    });
  }
}
