// One try at one deployment, as it stands in a record.

import type { Ending } from "./types.ts";

export interface Attempt {
  provider: string;
  status: number | null;
  started_ns: number;
  ended_ns: number;
  error: string | null;
  /** As it was sent; null, like all below, on records of before there were several attempts. */
  model: string | null;
  ending: Ending | null;
  hold_id: string | null;
  cost_usd: string | null;
  charge_usd: string | null;
}
