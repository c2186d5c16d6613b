import assert from "node:assert/strict";
import { test } from "node:test";

import { outcomeOf } from "../src/lib/deeds.ts";

test("only what is below 500 was refused: what failed may be done all the same", () => {
  const names = [200, 303, 399, 400, 404, 499, 500, 503].map((status) => outcomeOf(status).name);
  assert.deepEqual(names, [
    "done", "done", "done", "refused, 400", "refused, 404", "refused, 499", "failed, may be done, 500", "failed, may be done, 503",
  ]);
  assert.deepEqual([200, 400, 500].map((status) => outcomeOf(status).tone), ["good", "bad", "bad"]);
});

test("an end that was not told is none", () => {
  assert.equal(outcomeOf(null).name, "not told");
  assert.equal(outcomeOf(null).tone, "warn");
});
