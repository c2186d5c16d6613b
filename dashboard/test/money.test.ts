import assert from "node:assert/strict";
import { test } from "node:test";

import { axisDollars, brief, exact, fixed, nanosOf, sumOf, typed } from "../src/lib/money.ts";

test("dollars become nano-dollars, every digit", () => {
  assert.equal(nanosOf("12.50"), 12_500_000_000n);
  assert.equal(nanosOf("-0.000000001"), -1n);
  assert.equal(nanosOf("999999999.999999999"), 999_999_999_999_999_999n); // no JavaScript number holds it
  for (const none of [null, undefined, "", "1e3", "1.0000000001", "abc"]) assert.equal(nanosOf(none), null);
});

test("text never loses a digit, or shows nothing for something", () => {
  assert.equal(exact(12_345_678_901n), "$12.345678901");
  assert.equal(exact(12_500_000_000n), "$12.50");
  assert.equal(exact(-1n), "−$0.000000001");
  assert.equal(brief(0n), "$0.00");
  assert.equal(brief(1n), "$0.000000001");
  assert.equal(brief(3_408_900n), "$0.00341");
  assert.equal(brief(1_234_567_890_000n), "$1,234.57");
});

test("rounding is half away from zero", () => {
  assert.equal(fixed(5_000_000n, 2), "$0.01");
  assert.equal(fixed(4_999_999n, 2), "$0.00");
  assert.equal(fixed(-5_000_000n, 2), "−$0.01");
  assert.equal(fixed(-4_999_999n, 2), "$0.00");
  assert.equal(fixed(1_234_567_000_000_000n, 0), "$1,234,567");
});

test("a sum of nothing known is not known", () => {
  assert.equal(sumOf([null, null]), null);
  assert.equal(sumOf([null, 2n, 3n]), 5n);
});

test("an axis has as many decimals as its steps need", () => {
  assert.equal(axisDollars(1500, 500), "$1,500");
  assert.equal(axisDollars(0.25, 0.05), "$0.25");
  assert.equal(axisDollars(7.5, 2.5), "$7.50");
  assert.equal(axisDollars(0.025, 0.025), "$0.025");
  assert.equal(axisDollars(0.3, 0.1), "$0.30");
  assert.equal(axisDollars(0.0005, 0.0005), "$0.0005");
  assert.equal(axisDollars(0, 0.1), "$0");
});

test("amounts as people type them", () => {
  assert.equal(typed("$1,200.50"), "1200.50");
  assert.equal(typed(" -3 "), "-3");
  assert.equal(typed("1,234,567.891"), "1234567.891");
  for (const none of ["", "12.", "1e5", "12,5", "ten", "0,500", "1,2345", "12,3456", "1234,567", "1,23,456", ",500", "1.5,000"]) assert.equal(typed(none), null);
});
