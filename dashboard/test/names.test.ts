import assert from "node:assert/strict";
import { test } from "node:test";

import { labelsOf, sharedNames } from "../src/lib/names.ts";

const KEYS = [{ key_id: "key_1", name: "web" }, { key_id: "key_2", name: "batch" }, { key_id: "key_3", name: "web" }];

test("keys that share a name are told apart", () => {
  assert.deepEqual([...sharedNames(KEYS)], ["web"]);
  assert.deepEqual([...labelsOf(KEYS).values()], ["web (key_1)", "batch", "web (key_3)"]);
});
