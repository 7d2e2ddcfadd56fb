import assert from "node:assert/strict";
import { test } from "node:test";

import { Timeline } from "../../../hub/console/static/timeline.js";
import { count, initials, ringName } from "../../../hub/console/static/words.js";

test("an item that comes by REST and live is kept once", () => {
  const timeline = new Timeline();
  assert.equal(timeline.add({ id: "a" }), null);
  assert.equal(timeline.add({ id: "a" }), undefined);
  assert.equal(timeline.size, 1);
});

test("items in any order of arrival stand in the order of their ids", () => {
  const ids = ["d", "a", "e", "c", "b"];
  const timeline = new Timeline();
  const newerOf = Object.fromEntries(ids.map((id) => [id, timeline.add({ id })]));
  // Each learns its next newer neighbour among those that were there before it.
  assert.deepEqual(newerOf, { d: null, a: "d", e: null, c: "d", b: "c" });
});

test("the oldest are forgotten first, and may come again", () => {
  const timeline = new Timeline();
  for (const id of ["b", "c", "a"]) timeline.add({ id });
  assert.deepEqual(timeline.trim(2), ["a"]);
  assert.deepEqual(timeline.trim(2), []);
  assert.equal(timeline.get("a"), undefined);
  assert.equal(timeline.add({ id: "a" }), "b");
});

test("a cleared list knows nothing", () => {
  const timeline = new Timeline();
  timeline.add({ id: "a" });
  timeline.clear();
  assert.equal(timeline.size, 0);
  assert.equal(timeline.add({ id: "a" }), null);
});

test("words fit their number and names", () => {
  assert.equal(count(1, "tap"), "1 tap");
  assert.equal(count(0, "tap"), "0 taps");
  assert.equal(initials("Ada King Lovelace"), "AK");
  assert.equal(initials("Ådahild  X"), "ÅX");
  assert.equal(ringName({ label: null }), "Unnamed ring");
});
