// Rates from counters that count since the start of a process, and the lines of their chart.

const POINTS = 60;
const HEIGHT = 40;

/** Turns what `info` says of the processes into messages per second, and remembers two minutes. */
export class Rates {
  #before = null;
  #history = [];

  /** Take the processes of a moment (seconds); returns { sent, received } per second, or null at first. */
  add(nodes, at) {
    const counted = new Map(nodes.map((node) => [node.uid, node]));
    const before = this.#before;
    this.#before = { at, counted };
    if (!before || at <= before.at) return null;
    const rate = (field) => {
      let messages = 0;
      // A process that came, went or was silent in between says nothing about this moment.
      for (const [uid, node] of counted) {
        if (before.counted.has(uid)) messages += (node[field] ?? 0) - (before.counted.get(uid)[field] ?? 0);
      }
      return Math.max(0, messages) / (at - before.at);
    };
    const rates = { sent: rate("messages_sent"), received: rate("messages_received") };
    this.#history.push(rates);
    this.#history.splice(0, this.#history.length - POINTS);
    return rates;
  }

  get highest() {
    return Math.max(0, ...this.#history.flatMap(({ sent, received }) => [sent, received]));
  }

  /** The points of an SVG polyline, the newest at the right edge. */
  line(field) {
    const highest = this.highest || 1;
    const first = POINTS - this.#history.length;
    return this.#history
      .map((rates, index) => `${first + index + 1},${(HEIGHT - 1 - (rates[field] / highest) * (HEIGHT - 2)).toFixed(1)}`)
      .join(" ");
  }
}

/** "0", "0.5", "12", "1,234": as exact as one can read at a glance. */
export const perSecond = (rate) => (rate < 10 ? Number(rate.toFixed(1)) : Math.round(rate)).toLocaleString("en");

/** The glob for what somebody typed: a pattern is taken as it is, anything else as part of a name. */
export const glob = (typed) => (!typed || /[*?[]/u.test(typed) ? typed : `*${typed}*`);
