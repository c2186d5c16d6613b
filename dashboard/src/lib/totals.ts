// Sums over rows of usage: counts as numbers, money as nano-dollars, unknown as null.

import type { By, Sums, UsageRow } from "../api/types.ts";
import { exact, type Nanos, nanosOf, sumOf } from "./money.ts";
import { share, sumOf as countSum, UNKNOWN } from "./numbers.ts";
import { inOrder } from "./order.ts";

export interface Total {
  exchanges: number;
  errors: number;
  cancelled: number;
  estimated: number;
  unmetered: number;
  unpriced: number;
  cost: Nanos | null;
  charge: Nanos | null;
  tokens: Tokens;
}

/** Tokens by kind, none of them part of another; estimates are in the fresh input and the plain output. */
export interface Tokens {
  fresh: number | null;
  cacheRead: number | null;
  cacheWrite: number | null;
  output: number | null;
  reasoning: number | null;
}

export const KINDS: readonly (readonly [keyof Tokens, string])[] = [
  ["fresh", "input"],
  ["cacheRead", "input from a cache"],
  ["cacheWrite", "input into a cache"],
  ["output", "output"],
  ["reasoning", "reasoning"],
];

export function totalOf(rows: readonly Sums[]): Total {
  const all = (name: keyof Sums) => rows.reduce((sum, row) => sum + Number(row[name] ?? 0), 0);
  const kinds = rows.map(tokensOf);
  return {
    exchanges: all("exchanges"),
    errors: all("errors"),
    cancelled: all("cancelled"),
    estimated: all("estimated"),
    unmetered: all("unmetered"),
    unpriced: all("unpriced"),
    cost: sumOf(rows.map((row) => nanosOf(row.cost_usd))),
    charge: sumOf(rows.map((row) => nanosOf(row.charge_usd))),
    tokens: {
      fresh: countSum(kinds.map((kind) => kind.fresh)),
      cacheRead: countSum(kinds.map((kind) => kind.cacheRead)),
      cacheWrite: countSum(kinds.map((kind) => kind.cacheWrite)),
      output: countSum(kinds.map((kind) => kind.output)),
      reasoning: countSum(kinds.map((kind) => kind.reasoning)),
    },
  };
}

export function tokensOf(row: Sums): Tokens {
  const { cache_read_tokens: cacheRead, cache_write_tokens: cacheWrite, reasoning_tokens: reasoning } = row;
  return {
    fresh: countSum([less(row.input_tokens, cacheRead, cacheWrite), row.estimated_input_tokens]),
    cacheRead,
    cacheWrite,
    output: countSum([less(row.output_tokens, reasoning), row.estimated_output_tokens]),
    reasoning,
  };
}

/**
 * Whether a sum of money tells nothing, as some of it has no price and no price is in it. It is null where not one
 * exchange has a cost, and 0 where some cost nothing for sure, such as one that was never sent.
 */
export function priceless(cost: Nanos | null, unpriced: number): boolean {
  return !cost && unpriced > 0;
}

/**
 * Which group has the largest part of a cost, how much, and whether that is most of it: more than half. Null where
 * the largest has no name, and where there is no cost.
 */
export function largest(rows: readonly UsageRow[], by: By, cost: Nanos | null): { label: string; part: string; most: boolean } | null {
  const [top] = inOrder(rows, (row) => nanosOf(row.cost_usd), "descending");
  const own = nanosOf(top?.cost_usd);
  const label = top?.[by];
  return !own || !cost || !label ? null : { label, part: partOf(own, cost), most: 2n * own > cost };
}

/** An amount's share of another, as text; an en dash where either is not known. */
export function partOf(amount: Nanos | null, of: Nanos | null): string {
  return amount === null || of === null ? UNKNOWN : share(Number(amount), Number(of));
}

/** To its last digit, what a place of a chart stands for; `rows` are its sums, null where there was nothing. */
export function costText(cost: Nanos | null, rows: readonly (Sums | null | undefined)[]): string {
  const all = rows.reduce((sum, row) => sum + (row?.exchanges ?? 0), 0);
  const unpriced = rows.reduce((sum, row) => sum + (row?.unpriced ?? 0), 0);
  if (all === 0) return "$0.00";
  return cost === null || priceless(cost, unpriced) ? "not known" : exact(cost);
}

export function tokensTotal(tokens: Tokens): number | null {
  return countSum(Object.values(tokens) as (number | null)[]);
}

/** What is left of a whole; never below zero, should the parts have been told wrongly. */
function less(whole: number | null, ...parts: (number | null)[]): number | null {
  return whole === null ? null : Math.max(0, parts.reduce<number>((left, part) => left - (part ?? 0), whole));
}
