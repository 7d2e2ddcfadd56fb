// The page of people: the address book, how a relationship fares, imports; all of it live.

import { Acquaintance } from "./acquaintance.js";
import { AddressBook } from "./address_book.js";
import { Alerts } from "./alerts.js";
import { Session } from "./api.js";
import { byId, show } from "./dom.js";
import { Imports } from "./imports.js";
import { follow } from "./live.js";
import { connection, notice, problem } from "./notices.js";

const RETRY_AFTER_MS = 3_000;
const session = new Session({ onEnd: () => location.assign("/console") });

async function start() {
  if (!session.stored) return show(true, "welcome");
  try {
    await session.refresh();
  } catch (error) {
    if (!session.stored) return undefined;
    problem(error);
    return setTimeout(start, error.retryAfterSeconds * 1000 || RETRY_AFTER_MS);
  }
  show(true, "desk");
  return open();
}

function open() {
  const acquaintance = new Acquaintance(session);
  const book = new AddressBook(session, { onChoose: (contact) => acquaintance.open(contact) });
  const imports = new Imports(session, { onDone: () => book.load().catch(problem) });
  const alerts = new Alerts(session);
  const parts = { contact: [book, acquaintance], health: [book, acquaintance], interaction: [acquaintance], import: [imports], nudge: [alerts] };

  const load = async () => {
    byId("desk").setAttribute("aria-busy", "true");
    try {
      await Promise.all([book.load(), imports.load(), alerts.load(), acquaintance.load()]);
      byId("desk").removeAttribute("aria-busy");
    } catch (error) {
      problem(error);
      setTimeout(load, error.retryAfterSeconds * 1000 || RETRY_AFTER_MS);
    }
  };

  const live = follow({
    token: session.token,
    tokenAfter: (used) => session.tokenAfter(used),
    onState: connection,
    onPublication: (_channel, event) => {
      const concerned = parts[event.type.split(".")[0]] ?? [];
      for (const part of concerned) part.apply(event);
      return concerned.length > 0;
    },
    onStart: load,
    onReturn: ({ lost }) => {
      load();
      if (lost) notice("Connected again, but the history was lost: the lists were reloaded.", "warn");
    },
  });
  byId("retry").onclick = () => live.retry();
}

start();
