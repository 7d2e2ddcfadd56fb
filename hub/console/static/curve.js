// Scores by day as a line of steps, and the bands behind it. No DOM: tested in Node.

const DAY_MS = 86_400_000;
export const BANDS = [
  { band: "thriving", from: 70, to: 100 },
  { band: "stable", from: 45, to: 70 },
  { band: "cooling", from: 20, to: 45 },
  { band: "cold", from: 0, to: 20 },
];

/** Snapshots ({ taken_on, score }, any order) as points in time order; the last score holds until `to`. */
export function points(snapshots, to) {
  const found = snapshots
    .map(({ taken_on, score }) => ({ at: Date.parse(`${taken_on}T00:00:00Z`), score }))
    .sort((a, b) => a.at - b.at);
  return found.length ? [...found, { at: Math.max(to, found.at(-1).at + DAY_MS), score: found.at(-1).score }] : [];
}

/** Where a point is in a drawing: 0 to 100 from the bottom to the top, time from left to right. */
export function scale(found, { left, right, top, bottom }) {
  const [from, to] = [found[0].at, found.at(-1).at];
  return {
    x: (at) => left + ((at - from) / Math.max(1, to - from)) * (right - left),
    y: (score) => bottom - (score / 100) * (bottom - top),
  };
}

/** The path of an SVG line: a score stays until the day of the next one. */
export function stepPath(found, { x, y }) {
  return found
    .map(({ at, score }, index) =>
      index === 0 ? `M${round(x(at))} ${round(y(score))}` : `H${round(x(at))}V${round(y(score))}`)
    .join("");
}

/** What a curve says, for who does not see it. */
export function describe(found) {
  if (found.length === 0) return "No health is known yet.";
  const scores = found.map(({ score }) => score);
  const day = (at) => new Date(at).toLocaleDateString([], { dateStyle: "medium", timeZone: "UTC" });
  return (
    `Health from ${day(found[0].at)} to now: it began at ${scores[0]}, was ${Math.max(...scores)} at best` +
    ` and ${Math.min(...scores)} at worst, and is ${scores.at(-1)}.`
  );
}

const round = (number) => Math.round(number * 10) / 10;
