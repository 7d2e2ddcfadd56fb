// Scores by time as a line, and the bands behind it. No DOM: tested in Node.

export const BANDS = [
  { band: "thriving", from: 70, to: 100 },
  { band: "stable", from: 45, to: 70 },
  { band: "cooling", from: 20, to: 45 },
  { band: "cold", from: 0, to: 20 },
];

/** A series as the hub answers it, in points of the drawing's time. */
export function points(series) {
  return series.points.map(({ taken_on, ...scores }) => ({ at: Date.parse(`${taken_on}T00:00:00Z`), ...scores }));
}

/** Where a point is in a drawing: 0 to 100 from the bottom to the top, time from left to right. */
export function scale(found, { left, right, top, bottom }) {
  const [from, to] = [found[0].at, found.at(-1).at];
  return {
    // One alone is the latest.
    x: (at) => (from === to ? right : left + ((at - from) / (to - from)) * (right - left)),
    y: (score) => bottom - (score / 100) * (bottom - top),
  };
}

/** The path of an SVG line. */
export function linePath(found, { x, y }) {
  return found.map(({ at, score }, index) => `${index === 0 ? "M" : "L"}${round(x(at))} ${round(y(score))}`).join("");
}

/** The beginnings of months within a range, at most so many: each, or each second, third … */
export function months(from, to, most) {
  const first = new Date(from);
  const found = [];
  for (let ahead = 1; ; ahead += 1) {
    const at = Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + ahead);
    if (at > to) break;
    found.push(at);
  }
  const every = Math.max(1, Math.ceil(found.length / Math.max(1, most)));
  return found.filter((_at, index) => index % every === 0);
}

/** What a curve says, for who does not see it. */
export function describe(found) {
  if (found.length === 0) return "No health is known yet.";
  const day = (at) => new Date(at).toLocaleDateString([], { dateStyle: "medium", timeZone: "UTC" });
  const [best, worst] = [Math.max(...found.map(({ high }) => high)), Math.min(...found.map(({ low }) => low))];
  return (
    `Health from ${day(found[0].at)} to ${day(found.at(-1).at)}: it began at ${found[0].score}, was ${best} at best` +
    ` and ${worst} at worst, and is ${found.at(-1).score}.`
  );
}

const round = (number) => Math.round(number * 10) / 10;
