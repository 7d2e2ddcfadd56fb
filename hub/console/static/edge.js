// The edge page: rings, gateways, and a timeline of taps and touches, live.

import { Session } from "./api.js";
import { byId, show } from "./dom.js";
import { EdgeRings } from "./edge_rings.js";
import { Gateways } from "./gateways.js";
import { follow } from "./live.js";
import { connection, notice, problem } from "./notices.js";
import { TapAxis } from "./tap_axis.js";
import { Touches } from "./touches.js";

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
  const rings = new EdgeRings(session, { onChange: () => axis.draw() });
  const gateways = new Gateways(session, rings);
  const axis = new TapAxis(session, rings);
  const touches = new Touches(session, rings, { onChange: (items) => axis.touches(items) });
  const parts = { ring: rings, gateway: gateways, touch: touches, friendship: touches };

  const load = async () => {
    byId("desk").setAttribute("aria-busy", "true");
    try {
      await rings.load();
      await Promise.all([gateways.load(), axis.load(), touches.load()]);
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
      if (event.type === "ring.tapped") return axis.arrive(event);
      const part = parts[event.type.split(".")[0]];
      part?.apply(event);
      return part !== undefined;
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
