import assert from "node:assert/strict";
import { test } from "node:test";

import { glob, perSecond, Rates } from "../../../hub/console/static/rates.js";
import { count, duration } from "../../../hub/console/static/words.js";

const node = (uid, messages_sent, messages_received = 0) => ({ uid, messages_sent, messages_received });

test("a rate is what was added since the last look, over the time between", () => {
  const rates = new Rates();
  assert.equal(rates.add([node("a", 100, 10)], 10), null);
  assert.deepEqual(rates.add([node("a", 300, 14)], 12), { sent: 100, received: 2 });
});

test("a process that comes or goes does not look like traffic", () => {
  const rates = new Rates();
  rates.add([node("a", 1_000), node("b", 5_000)], 0);
  assert.deepEqual(rates.add([node("a", 1_010), node("c", 9_000)], 1), { sent: 10, received: 0 });
  assert.deepEqual(rates.add([node("c", 9_005)], 2), { sent: 5, received: 0 });
});

test("counters that are left out are zero, and nothing counts backwards", () => {
  const rates = new Rates();
  rates.add([{ uid: "a" }], 0);
  assert.deepEqual(rates.add([node("a", 5)], 1), { sent: 5, received: 0 });
  assert.deepEqual(rates.add([{ uid: "a" }], 2), { sent: 0, received: 0 });
});

test("the chart keeps two minutes, the newest at the right edge, the highest at the top", () => {
  const rates = new Rates();
  for (let second = 0, sent = 0; second <= 200; second += 1, sent += second) rates.add([node("a", sent)], second);
  const points = rates.line("sent").split(" ").map((point) => point.split(",").map(Number));
  assert.equal(points.length, 60);
  assert.equal(rates.highest, 200);
  assert.deepEqual(points.at(-1), [60, 1]);
  assert.equal(points[0][0], 1);
  assert.ok(points.every(([, y]) => y >= 1 && y <= 39));
});

test("without any traffic the line is flat at the bottom", () => {
  const rates = new Rates();
  rates.add([node("a", 7)], 0);
  rates.add([node("a", 7)], 1);
  assert.equal(rates.line("sent"), "60,39.0");
});

test("rates, durations and numbers are short", () => {
  assert.deepEqual([0, 0.04, 0.55, 9.96, 12.4, 1234.5].map(perSecond), ["0", "0", "0.6", "10", "12", "1,235"]);
  assert.deepEqual([5, 65, 7_300, 200_000].map(duration), ["5 s", "1 min", "2 h", "2 d"]);
  assert.deepEqual([count(1, "process", "es"), count(2, "process", "es")], ["1 process", "2 processes"]);
});

test("what is typed is part of a name, unless it is a pattern", () => {
  assert.deepEqual(["", "taps", "taps:*", "a?"].map(glob), ["", "*taps*", "taps:*", "a?"]);
});
