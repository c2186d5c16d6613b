import assert from "node:assert/strict";
import { test } from "node:test";

import { before, spanOf, spanParams } from "../src/lib/span.ts";
import { groupAt, stacked, touched } from "../src/lib/stack.ts";

const now = new Date("2026-11-21T17:34:12Z");
const of = (query: string) => spanOf(new URLSearchParams(query), now);

test("a range begins with a whole step, so that its chart's columns add up to its sums", () => {
  assert.equal(of("").range, "7d");
  assert.equal(of("range=24h").since.toISOString(), "2026-11-20T17:00:00.000Z");
  assert.equal(of("range=30d").since.toISOString(), "2026-10-22T00:00:00.000Z");
  assert.equal(of("range=1h").step, "minute");
  assert.equal(of("range=nonsense").range, "7d");
});

test("a stretch of one's own", () => {
  const own = of("since=2026-11-20T10:30:00Z&until=2026-11-20T12:00:00Z");
  assert.deepEqual([own.range, own.step], [null, "minute"]);
  assert.deepEqual(spanParams(own), { since: "2026-11-20T10:30:00Z", until: "2026-11-20T12:00:00Z" });
  assert.equal(of("since=2026-11-20T10:30:00Z&until=2026-11-19T00:00:00Z").range, "7d");
});

test("a stretch of one's own is of whole steps for a chart, and as it is for a list", () => {
  const query = new URLSearchParams("since=2026-11-01T10:30:00Z&until=2026-11-20T12:00:00Z");
  const chart = spanOf(query, now);
  assert.equal(chart.step, "day");
  assert.equal(chart.since.toISOString(), "2026-11-01T00:00:00.000Z");
  assert.equal(chart.until?.toISOString(), "2026-11-21T00:00:00.000Z");
  const list = spanOf(query, now, undefined, true);
  assert.deepEqual(spanParams(list), { since: "2026-11-01T10:30:00Z", until: "2026-11-20T12:00:00Z" });
});

test("the stretch before is as long", () => {
  const past = before(of("range=24h"), now);
  assert.equal(past.until.toISOString(), "2026-11-20T17:00:00.000Z");
  assert.equal(past.since.toISOString(), "2026-11-19T16:25:48.000Z");
});

test("columns stand on each other, and a height falls into one of them", () => {
  const sums = stacked([[1, null], [2, 5], [0, 1]]);
  assert.deepEqual(sums, [[1, 0], [3, 5], [3, 6]]);
  assert.equal(groupAt(sums, 0, 0.5), 0);
  assert.equal(groupAt(sums, 0, 2), 1);
  assert.equal(groupAt(sums, 0, 3), null);
  assert.equal(groupAt(sums, 1, 5.5), 2);
});

test("a drag touches whole buckets", () => {
  assert.deepEqual(touched([0, 10, 20, 30], 12, 21), [1, 2]);
  assert.deepEqual(touched([0, 10, 20, 30], 12, 20), [1, 1]);
  assert.deepEqual(touched([0, 10, 20, 30], 35, 99), [3, 3]);
});
