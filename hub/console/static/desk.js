// A desk that stays live: loaded once its channels are followed, and again where something may be missing.

import { Problem } from "./api.js";
import { byId } from "./dom.js";
import { follow } from "./live.js";
import { connection, notice, problem } from "./notices.js";
import { persist } from "./persist.js";
import { count } from "./words.js";

/** Whether the SDK is there; tells what to do if it is not. */
export function hasSdk() {
  if (globalThis.Centrifuge) return true;
  problem(
    new Problem({
      title: "The JavaScript SDK is not installed",
      detail: "Run “make up”, or “npm ci” in the project folder, then reload this page.",
    }),
  );
  return false;
}

/**
 * Keep the desk of a page live. `load({ afresh })` reads its lists, `afresh` after a gap; `apply(event)`
 * takes over an event and returns whether it was news. Returns how to stop it.
 */
export function openDesk(session, { load, apply }) {
  const desk = byId("desk");
  let stopped = false;
  let loads = 0;

  // The channels are already followed when this runs, so nothing falls between list and live.
  const reload = async (options = {}) => {
    const number = (loads += 1);
    desk.setAttribute("aria-busy", "true");
    if (await persist(() => load(options), () => !stopped && number === loads)) desk.removeAttribute("aria-busy");
  };

  const live = follow({
    token: session.token,
    tokenAfter: (used) => session.tokenAfter(used),
    onState: (state) => !stopped && connection(state),
    onPublication: (_channel, event) => apply(event),
    onStart: () => reload(),
    onReturn: async ({ missed, lost }) => {
      if (!lost) {
        notice(missed ? `Connected again: recovered ${count(missed, "missed event")}.` : "Connected again: nothing was missed.");
        return;
      }
      await reload({ afresh: true });
      if (!stopped) notice("Connected again, but the history was lost: the lists were reloaded.", "warn");
    },
  });
  byId("retry").onclick = () => live.retry();

  return {
    stop() {
      stopped = true;
      live.stop();
    },
  };
}

/** Return an `apply` that hands each event to the parts that its kind concerns: `{ ring: [rings] }`. */
export function byKind(parts) {
  return (event) => {
    const concerned = parts[event.type.split(".")[0]] ?? [];
    for (const part of concerned) part.apply(event);
    return concerned.length > 0;
  };
}
