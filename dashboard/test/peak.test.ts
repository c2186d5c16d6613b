import assert from "node:assert/strict";
import { test } from "node:test";

import { peaks } from "../src/lib/peak.ts";

const flat = (length: number) => Array.from({ length }, () => 100n);

test("nothing stands out of what is even, or of too little", () => {
  assert.deepEqual(peaks(flat(40)), []);
  assert.deepEqual(peaks([1n, 1n, 1000n]), []);
  assert.deepEqual(peaks([]), []);
});

test("neighbours are one peak, and the dearest comes first", () => {
  const costs = [...flat(20), 300n, ...flat(20), 900n, 400n, null, ...flat(20)];
  assert.deepEqual(peaks(costs), [
    { first: 41, last: 42, total: 1300n, usual: 100n },
    { first: 20, last: 20, total: 300n, usual: 100n },
  ]);
});

test("two and a half times is not yet more than that", () => {
  assert.deepEqual(peaks([...flat(20), 250n]), []);
  assert.equal(peaks([...flat(20), 251n]).length, 1);
});
