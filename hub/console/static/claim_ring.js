// Claiming a ring: its code, then a press beside one of one's gateways, or a link of its NFC tag.

import { ask, field } from "./ask.js";
import { busy, el } from "./dom.js";
import { problem } from "./notices.js";

const LOOK_MS = 500;
const HERE = ["localhost", "127.0.0.1", "[::1]"];

/** Ask for the code; `changed` runs when the ring is one's own. */
export async function claimRing(session, changed) {
  const gateways = (await session.get("/v1/gateways?limit=200")).items.filter((item) => item.status === "online");
  const code = field("ring-code", "Code on the ring's card", { required: true, minlength: 8, maxlength: 64, autocapitalize: "characters" });
  const label = field("ring-label", "Name of the ring", { required: true, maxlength: 80 });
  label.input.value = "My ring";
  ask({
    title: "Claim a ring",
    content: [code.row, label.row],
    confirm: "Claim",
    yes: async () => {
      const body = { claim_code: code.input.value, label: label.input.value.trim() };
      const claim = await session.post("/v1/ring-claims", body);
      if (claim.status === "done") return changed();
      return claim.methods[0] === "sun" ? byLink(session, claim, changed) : byPress(session, claim, gateways, changed);
    },
  });
}

function byPress(session, claim, gateways, changed) {
  const path = `/v1/ring-claims/${claim.id}`;
  const said = el("p", { role: "status", id: "claim-said" });
  if (gateways.length === 0) return [el("p", {}, "None of your gateways is online. Start one near the ring, then claim again.")];
  const choice = el("select", { id: "claim-gateway" }, ...gateways.map((item) => el("option", { value: item.id }, item.name)));
  const look = async () => {
    while (said.isConnected) {
      const { status, gateway_code: code } = await session.get(path);
      if (status === "done") {
        said.textContent = "The ring is yours.";
        return changed();
      }
      if (status === "refused") return void (said.textContent = "The claim was refused. Begin again with the code.");
      if (code) return void (said.textContent = WHY[code] ?? `It did not work (${code}). Try again.`);
      await new Promise((done) => setTimeout(done, LOOK_MS));
    }
  };
  const fetchProof = async () => {
    try {
      said.textContent = "Press the ring when it blinks.";
      await session.post(`${path}/gateway`, { gateway_id: choice.value });
      await look();
    } catch (error) {
      problem(error);
    }
  };
  const begin = el("button", { type: "button", class: "primary", click: () => busy(begin, fetchProof) }, "Talk to the ring");
  const press = el(
    "button",
    {
      type: "button",
      class: "plain",
      click: () => busy(press, () => session.post(`/v1/development${path.slice(3)}/press`).catch(problem)),
    },
    "Press the virtual ring",
  );
  return [
    el("p", {}, "Hold the ring near a gateway. It blinks, and you press it: so it proves that you have it."),
    el("p", { class: "field" }, el("label", { for: "claim-gateway" }, "Gateway"), choice),
    el("div", { class: "actions" }, begin, HERE.includes(location.hostname) ? press : null),
    said,
  ];
}

function byLink(session, claim, changed) {
  const link = field("ring-link", "Link that the ring gives when you hold it to your phone", { type: "url", maxlength: 512 });
  const said = el("p", { role: "status", id: "claim-said" });
  const prove = async () => {
    try {
      await session.post(`/v1/ring-claims/${claim.id}/proof`, { kind: "sun", url: link.input.value });
      said.textContent = "The ring is yours.";
      changed();
    } catch (error) {
      said.textContent = error.title ?? "It did not work.";
    }
  };
  const button = el("button", { type: "button", class: "primary", click: () => busy(button, prove) }, "Prove");
  return [link.row, el("div", { class: "actions" }, button), said];
}

/** What is shown once: the code by which the next owner claims the ring. */
export function releasedCode(name, code) {
  if (!code) return [el("p", {}, `${name} is released; its code was used.`)];
  return [
    el("p", {}, `Give this code to the next owner of ${name}. It works once.`),
    el("p", { class: "command" }, el("code", { id: "released-code" }, code)),
  ];
}

const WHY = {
  "gateway.ring_not_pressed": "Nobody pressed the ring. Try again, and press it when it blinks.",
  "gateway.not_connected": "The gateway does not hear the ring. Bring it nearer and try again.",
  "gateway.timeout": "The gateway did not answer. Try again.",
  "ring.proof_refused": "The ring's proof is not right. Is it the ring of this card?",
};
