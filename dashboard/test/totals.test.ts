import assert from "node:assert/strict";
import { test } from "node:test";

import type { Sums, UsageRow } from "../src/api/types.ts";
import { costText, largest, partOf, priceless } from "../src/lib/totals.ts";

const row = (of: Partial<UsageRow>) => ({ exchanges: 1, unpriced: 0, cost_usd: null, ...of }) as UsageRow;

test("a sum with no price in it tells nothing, whether nothing in it has a cost or some of it cost nothing", () => {
  assert.ok(priceless(null, 3));
  assert.ok(priceless(0n, 3));
  assert.ok(!priceless(1n, 3));
  assert.ok(!priceless(0n, 0));
  assert.ok(!priceless(null, 0)); // nobody knows it, but not for want of a price
});

test("a place of a chart says its cost to the last digit, and no cost of what has no price", () => {
  const sums = (of: Partial<Sums>) => row(of);
  assert.equal(costText(12_345_678_901n, [sums({})]), "$12.345678901");
  assert.equal(costText(null, [null, undefined]), "$0.00");
  assert.equal(costText(0n, [sums({})]), "$0.00");
  assert.equal(costText(0n, [sums({}), sums({ unpriced: 1 })]), "not known");
  assert.equal(costText(null, [sums({ unpriced: 1 })]), "not known");
  assert.equal(costText(5n, [sums({ unpriced: 1 })]), "$0.000000005");
});

test("the largest part is most of it only above a half", () => {
  const rows = [row({ model: "a", cost_usd: "1" }), row({ model: "b", cost_usd: "2" }), row({ model: "c" })];
  assert.deepEqual(largest(rows, "model", 4_000_000_000n), { label: "b", part: "50 %", most: false });
  assert.deepEqual(largest(rows, "model", 3_900_000_000n), { label: "b", part: "51 %", most: true });
  assert.equal(largest([...rows, row({ model: null, cost_usd: "3" })], "model", 6_000_000_000n), null);
  assert.equal(largest([row({ model: "c" })], "model", null), null);
  assert.equal(partOf(1n, 1_000_000_000_000n), "< 0.1 %");
});
