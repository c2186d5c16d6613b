import assert from "node:assert/strict";
import { test } from "node:test";

import { linesTotal, rounded } from "../src/lib/bill.ts";

const line = (quantity: string, dollars: string, per: number) => ({ unit: "input_mtok", quantity, dollars, per, leg: null as string | null });

test("lines add up exactly, and are rounded once", () => {
  assert.equal(linesTotal([]), 0n);
  assert.equal(linesTotal([line("866", "1", 1_000_000), line("729", "0.1", 1_000_000), line("494", "5", 1_000_000)]), 3_408_900n);
  // Three parts of a third of a nano-dollar each are one, not none.
  assert.equal(linesTotal([1, 2, 3].map(() => line("1", "0.000000001", 3))), 1n);
  assert.equal(linesTotal([line("1", "1E-9", 2)]), 1n);
  assert.equal(linesTotal([line("2.5", "0.02", 1000)]), 50_000n);
});

test("each attempt's lines are rounded by themselves", () => {
  const third = line("1", "0.000000001", 3);
  assert.equal(linesTotal([{ ...third, leg: "attempt 1" }, { ...third, leg: "attempt 1: compaction" }, third]), 1n);
  assert.equal(linesTotal([third, { ...third, leg: "compaction" }]), 1n);
});

test("half a nano-dollar goes up, on either side of zero", () => {
  assert.equal(rounded({ over: 5n, under: 2n }), 3n);
  assert.equal(rounded({ over: -5n, under: 2n }), -2n);
  assert.equal(rounded({ over: -7n, under: 3n }), -2n);
});
