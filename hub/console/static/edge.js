// The edge page: rings, gateways, and a timeline of taps and touches, live.

import { begin, sessionHere } from "./begin.js";
import { byKind, hasSdk, openDesk } from "./desk.js";
import { show } from "./dom.js";
import { EdgeRings } from "./edge_rings.js";
import { Gateways } from "./gateways.js";
import { TapAxis } from "./tap_axis.js";
import { Touches } from "./touches.js";

const session = sessionHere();

function open() {
  show(true, "desk");
  const rings = new EdgeRings(session, { onChange: () => axis.draw() });
  const gateways = new Gateways(session, rings);
  const axis = new TapAxis(session, rings);
  const touches = new Touches(session, rings, { onChange: (items) => axis.touches(items) });
  const others = byKind({ ring: [rings], gateway: [gateways], touch: [touches], friendship: [touches] });
  openDesk(session, {
    load: async () => {
      await rings.load();
      await Promise.all([gateways.load(), axis.load(), touches.load()]);
    },
    apply: (event) => (event.type === "ring.tapped" ? axis.arrive(event) : others(event)),
  });
}

if (hasSdk()) begin(session, open);
