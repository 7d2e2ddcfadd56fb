import assert from "node:assert/strict";
import { test } from "node:test";

import { BANDS, describe, linePath, months, points, scale } from "../../../hub/console/static/curve.js";

const series = {
  step_days: 10,
  points: [
    { taken_on: "2026-11-01", score: 80, low: 75, high: 85 },
    { taken_on: "2026-11-11", score: 60, low: 60, high: 80 },
    { taken_on: "2026-11-21", score: 40, low: 35, high: 60 },
  ],
};
const place = { left: 0, right: 200, top: 0, bottom: 100 };

test("a series goes from the left to the right, and 100 is at the top", () => {
  const found = points(series);
  assert.equal(found.at(-1).at, Date.UTC(2026, 10, 21));
  assert.equal(linePath(found, scale(found, place)), "M0 20L100 40L200 60");
});

test("a score of one day alone is the latest", () => {
  const found = points({ points: [series.points[0]] });
  assert.equal(linePath(found, scale(found, place)), "M200 20");
});

test("months begin after the range does, and are as few as there is room for", () => {
  const [from, to] = [Date.UTC(2026, 8, 15), Date.UTC(2027, 1, 1)];
  const names = (most) => months(from, to, most).map((at) => new Date(at).getUTCMonth() + 1);
  assert.deepEqual(names(9), [10, 11, 12, 1, 2]);
  assert.deepEqual(names(3), [10, 12, 2]);
  assert.deepEqual(names(0), [10]);
  assert.deepEqual(months(from, from, 5), []);
});

test("bands lie on each other without gaps", () => {
  const sorted = [...BANDS].reverse();
  assert.equal(sorted[0].from, 0);
  assert.equal(sorted.at(-1).to, 100);
  sorted.slice(1).forEach((band, index) => assert.equal(band.from, sorted[index].to));
});

test("words tell what the drawing shows, and what lies between its points", () => {
  assert.match(describe(points(series)), /began at 80, was 85 at best and 35 at worst, and is 40\.$/u);
  assert.equal(describe([]), "No health is known yet.");
});
