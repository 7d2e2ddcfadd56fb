import assert from "node:assert/strict";
import { test } from "node:test";

import { layOut, step, ticks } from "../../../hub/console/static/axis.js";

const MINUTE = 60_000;
const place = { from: 0, to: 100, left: 10, right: 110 };

test("marks stand where their time is, in time order, each in the lane of its ring", () => {
  const items = [
    { id: "b", lane: "two", at: 100 },
    { id: "a", lane: "one", at: 0 },
    { id: "c", lane: "one", at: 50 },
  ];
  const marks = layOut(items, ["one", "two"], place);
  assert.deepEqual(marks.map(({ id, x, row }) => [id, x, row]), [["a", 10, 0], ["c", 60, 0], ["b", 110, 1]]);
});

test("what is outside of the span, or of no ring shown, is left out", () => {
  const items = [
    { id: "a", lane: "one", at: -1 },
    { id: "b", lane: "one", at: 101 },
    { id: "c", lane: "gone", at: 50 },
    { id: "d", lane: null, at: 50 },
  ];
  assert.deepEqual(layOut(items, ["one"], place), []);
});

test("labels are few, round and inside the span", () => {
  for (const minutes of [15, 60, 360, 1440]) {
    for (const width of [320, 800, 1400]) {
      const to = Date.UTC(2026, 10, 21, 12, 34, 56);
      const from = to - minutes * MINUTE;
      const found = ticks(from, to, width);
      assert.ok(found.length >= 1, `${minutes} min on ${width} px`);
      assert.ok(found.length <= width / 80 + 1);
      assert.ok(found.every((at) => at >= from && at <= to && new Date(at).getSeconds() === 0));
    }
  }
});

const marks = layOut(
  [
    { id: "a", lane: "one", at: 10 },
    { id: "b", lane: "two", at: 20 },
    { id: "c", lane: "one", at: 30 },
    { id: "d", lane: "three", at: 90 },
  ],
  ["one", "two", "three"],
  place,
);
const walk = (from, key) => marks[step(marks, marks.findIndex((mark) => mark.id === from), key)].id;

test("arrow keys go from mark to mark in time, and stop at the ends", () => {
  assert.equal(walk("a", "ArrowRight"), "b");
  assert.equal(walk("d", "ArrowRight"), "d");
  assert.equal(walk("b", "ArrowLeft"), "a");
  assert.equal(walk("a", "ArrowLeft"), "a");
  assert.equal(walk("c", "Home"), "a");
  assert.equal(walk("a", "End"), "d");
  assert.equal(walk("a", "x"), "a");
});

test("up and down go to the nearest mark of the next lane that has one", () => {
  assert.equal(walk("c", "ArrowDown"), "b");
  assert.equal(walk("b", "ArrowUp"), "a");
  assert.equal(walk("d", "ArrowUp"), "b");
  assert.equal(walk("d", "ArrowDown"), "d");
  assert.equal(walk("a", "ArrowUp"), "a");
});
