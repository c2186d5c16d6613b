import assert from "node:assert/strict";
import { test } from "node:test";

import { priceless } from "../src/lib/totals.ts";

test("a sum with no price in it tells nothing, whether nothing in it has a cost or some of it cost nothing", () => {
  assert.ok(priceless(null, 3));
  assert.ok(priceless(0n, 3));
  assert.ok(!priceless(1n, 3));
  assert.ok(!priceless(0n, 0));
  assert.ok(!priceless(null, 0)); // nobody knows it, but not for want of a price
});
