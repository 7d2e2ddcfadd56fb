import assert from "node:assert/strict";
import { test } from "node:test";

import { BANDS, describe, points, scale, stepPath } from "../../../hub/console/static/curve.js";

const DAY = 86_400_000;
const to = Date.UTC(2026, 10, 21, 12);
const snapshots = [
  { taken_on: "2026-11-11", score: 40 },
  { taken_on: "2026-11-01", score: 80 },
];
const place = { left: 0, right: 205, top: 0, bottom: 100 };

test("snapshots stand in time order, and the last score holds until now", () => {
  assert.deepEqual(points(snapshots, to).map(({ at, score }) => [at, score]), [
    [Date.UTC(2026, 10, 1), 80],
    [Date.UTC(2026, 10, 11), 40],
    [to, 40],
  ]);
  assert.deepEqual(points([], to), []);
});

test("a curve of today alone is a day wide, and never without a width", () => {
  const found = points([{ taken_on: "2026-11-21", score: 50 }], Date.UTC(2026, 10, 20));
  assert.equal(found[1].at - found[0].at, DAY);
  assert.equal(scale(found, place).x(found[1].at), 205);
});

test("a score stays until the day of the next one, and 100 is at the top", () => {
  const found = points(snapshots, to);
  assert.equal(stepPath(found, scale(found, place)), "M0 20H100V60H205V60");
});

test("bands lie on each other without gaps", () => {
  const sorted = [...BANDS].reverse();
  assert.equal(sorted[0].from, 0);
  assert.equal(sorted.at(-1).to, 100);
  sorted.slice(1).forEach((band, index) => assert.equal(band.from, sorted[index].to));
});

test("words tell what the drawing shows", () => {
  assert.match(describe(points(snapshots, to)), /began at 80, was 80 at best and 40 at worst, and is 40\.$/u);
  assert.equal(describe([]), "No health is known yet.");
});
