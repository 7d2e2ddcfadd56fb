// A gateway's claim code, and the command that uses it.

import { el } from "./dom.js";

/** What is shown once: the code, and the command that uses it. */
export function codeShown(name, code, expiresAt) {
  const command = `pinghub gateway claim ${code} --hub ${location.origin}`;
  const said = el("span", { role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(command);
      said.textContent = " Copied.";
    } catch {
      said.textContent = " Select the line and copy it by hand.";
    }
  };
  const until = new Date(expiresAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return [
    el("p", {}, `Run this on the machine that becomes “${name}”, before ${until}. It works once and is not shown again.`),
    el("p", { class: "command" }, el("code", { id: "claim-command" }, command)),
    el("p", {}, el("button", { type: "button", class: "primary", click: copy }, "Copy the command"), said),
  ];
}
