// What stands out of a series: by a rule that can be told in a sentence.

import type { Nanos } from "./money.ts";

export interface Peak {
  /** Buckets, first to last. */
  first: number;
  last: number;
  total: Nanos;
  /** Nine of ten buckets in which anything was spent stay at or below it. */
  usual: Nanos;
}

const FEWEST = 10;

/** Neighbouring buckets, each above two and a half times what nine of ten stay below; the dearest first. */
export function peaks(costs: readonly (Nanos | null)[]): Peak[] {
  const spent = costs.filter((cost): cost is Nanos => cost !== null && cost > 0n).sort((one, other) => (one < other ? -1 : 1));
  const usual = spent[Math.ceil(spent.length * 0.9) - 1];
  if (usual === undefined || spent.length < FEWEST) return [];
  const found: Peak[] = [];
  costs.forEach((cost, at) => {
    if (cost === null || 2n * cost <= 5n * usual) return;
    const open = found.at(-1);
    if (open?.last === at - 1) Object.assign(open, { last: at, total: open.total + cost });
    else found.push({ first: at, last: at, total: cost, usual });
  });
  return found.sort((one, other) => (one.total > other.total ? -1 : 1));
}
