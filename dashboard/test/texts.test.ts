import assert from "node:assert/strict";
import { test } from "node:test";

import { csv } from "../src/lib/csv.ts";
import { axisCount, brief, bytes, change, changeText, grouped, share, sumOf, typedCount } from "../src/lib/numbers.ts";
import { inOrder, pressed } from "../src/lib/order.ts";
import { ago, duration, lasting } from "../src/lib/time.ts";

test("counts", () => {
  assert.equal(brief(9_999), "9,999");
  assert.equal(brief(1_234_567), "1.23 M");
  assert.equal(brief(999_950), "1.00 M");
  assert.equal(brief(null), "–");
  assert.equal(axisCount(1_500_000), "1.5 M");
  assert.equal(axisCount(20_000), "20 k");
  assert.equal(axisCount(12_500), "12.5 k");
  assert.equal(axisCount(2.5), "");
  assert.equal(sumOf([null, undefined]), null);
  assert.equal(bytes(4_200), "4.2 kB");
});

test("digits stand in groups before the point, and all of them", () => {
  assert.equal(grouped("1234567"), "1,234,567");
  assert.equal(grouped("1234.56789"), "1,234.56789");
  assert.equal(grouped("0.0001"), "0.0001");
  assert.equal(grouped("1E+6"), "1E+6");
});

test("counts as people type them", () => {
  assert.equal(typedCount(" 1,200 "), 1200);
  assert.equal(typedCount("60"), 60);
  for (const none of ["", "0", "1.5", "1,2345", "12,34", "0,500", "-3"]) assert.equal(typedCount(none), null);
});

test("a share is 0 or 100 only if it is", () => {
  assert.equal(share(0, 10), "0 %");
  assert.equal(share(1, 100_000), "< 0.1 %");
  assert.equal(share(99_999, 100_000), "> 99.9 %");
  assert.equal(share(1, 3), "33 %");
  assert.equal(share(1, 0), "–");
});

test("change against nothing is no change", () => {
  assert.equal(change(5, 0), null);
  assert.equal(change(null, 3), null);
  assert.equal(change(150n, 100n), 0.5);
  assert.equal(changeText(0.5), "+50 %");
  assert.equal(changeText(-0.034), "−3.4 %");
  assert.equal(changeText(4.2), "×5.2");
});

test("durations and ages", () => {
  assert.equal(duration(null), "–");
  assert.equal(duration(850_000), "850 µs");
  assert.equal(duration(1_200_000_000), "1.20 s");
  assert.equal(duration(125_000_000_000), "2 min 5 s");
  assert.equal(lasting(7200), "2 h");
  const now = new Date("2026-11-21T12:00:00Z");
  assert.equal(ago(new Date("2026-11-21T11:58:00Z"), now), "2 min ago");
  assert.equal(ago(new Date("2026-11-21T15:00:00Z"), now), "in 3 h");
});

test("rows in order, the unknown last either way", () => {
  const rows = [{ n: 2n }, { n: null }, { n: 10n }, { n: 1n }];
  assert.deepEqual(inOrder(rows, (row) => row.n, "ascending").map((row) => row.n), [1n, 2n, 10n, null]);
  assert.deepEqual(inOrder(rows, (row) => row.n, "descending").map((row) => row.n), [10n, 2n, 1n, null]);
  assert.deepEqual(inOrder(["gpt-10", "gpt-9"], String, "ascending"), ["gpt-9", "gpt-10"]);
});

test("a header pressed twice turns the order round", () => {
  const once = pressed(null, "cost", "descending");
  assert.deepEqual(once, { column: "cost", direction: "descending" });
  assert.deepEqual(pressed(once, "cost", "descending"), { column: "cost", direction: "ascending" });
  assert.deepEqual(pressed(once, "name", "ascending"), { column: "name", direction: "ascending" });
});

test("CSV that no spreadsheet runs", () => {
  const text = csv(["a", "b"], [['say "hi"', 1], ["=1+1", null], ["-0.5", "x\ny"]]);
  assert.equal(text, 'a,b\r\n"say ""hi""",1\r\n\'=1+1,\r\n-0.5,"x\ny"\r\n');
  for (const formula of ["+1", "@SUM(A1)", "\t=1", "-1+cmd|' /C calc'!A0", "-x", "-1.5.2"]) assert.equal(csv([formula], []), `'${formula}\r\n`);
  for (const [formula, cell] of [["\r=1", '"\'\r=1"'], ["\n=1", '"\'\n=1"']] as const) assert.equal(csv([formula], []), `${cell}\r\n`);
});
