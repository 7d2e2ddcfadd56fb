// The page of people: the address book, how a relationship fares, what the hub noticed; all of it live.

import { Achieved } from "./achieved.js";
import { Acquaintance } from "./acquaintance.js";
import { AddressBook } from "./address_book.js";
import { begin, sessionHere } from "./begin.js";
import { byKind, hasSdk, openDesk } from "./desk.js";
import { show } from "./dom.js";
import { ForYou } from "./for_you.js";
import { Imports } from "./imports.js";
import { problem } from "./notices.js";

const session = sessionHere();

function open() {
  show(true, "desk");
  const acquaintance = new Acquaintance(session, { onOpen: (id) => book.mark(id) });
  const book = new AddressBook(session, { onChoose: (contact) => acquaintance.open(contact) });
  const forYou = new ForYou(session, { onChoose: (contact) => acquaintance.open(contact) });
  const imports = new Imports(session, { onDone: () => book.load().catch(problem) });
  const achieved = new Achieved(session);
  openDesk(session, {
    load: () => Promise.all([book, acquaintance, forYou, imports, achieved].map((part) => part.load())),
    apply: byKind({
      contact: [book, acquaintance, forYou],
      health: [book, acquaintance, forYou],
      interaction: [acquaintance],
      nudge: [forYou],
      insight: [forYou],
      import: [imports],
      achievement: [achieved],
    }),
  });
}

if (hasSdk()) begin(session, open);
