// Do the lines of a bill add up to its cost? Exactly: as fractions of integers, rounded once, half up, as headgate does.

import type { PriceLine } from "../api/types.ts";
import type { Nanos } from "./money.ts";

/** A fraction of nano-dollars. */
export interface Fraction {
  over: bigint;
  under: bigint;
}

/** The digits of a decimal number and how many of them stand behind the point. */
function decimal(text: string): { digits: bigint; places: bigint } {
  const match = /^(-?\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) throw new Error(`${text} is no decimal number`);
  const [, whole = "0", behind = "", power = "0"] = match;
  const places = BigInt(behind.length) - BigInt(power);
  const digits = BigInt(whole + behind);
  return places >= 0n ? { digits, places } : { digits: digits * 10n ** -places, places: 0n };
}

/** One line's amount: quantity x dollars / per. */
export function lineAmount(line: PriceLine): Fraction {
  const quantity = decimal(line.quantity);
  const dollars = decimal(line.dollars);
  const over = quantity.digits * dollars.digits * 1_000_000_000n;
  return { over, under: BigInt(line.per) * 10n ** (quantity.places + dollars.places) };
}

export function added(one: Fraction, other: Fraction): Fraction {
  if (one.under === other.under) return { over: one.over + other.over, under: one.under };
  return { over: one.over * other.under + other.over * one.under, under: one.under * other.under };
}

/** Half a nano-dollar goes up. */
export function rounded({ over, under }: Fraction): Nanos {
  const doubled = 2n * over + under;
  const floor = doubled / (2n * under);
  return doubled < 0n && doubled % (2n * under) !== 0n ? floor - 1n : floor;
}

/** What all lines add up to: those of each attempt rounded once, as each is settled by itself. */
export function linesTotal(lines: readonly PriceLine[]): Nanos {
  const attempts = new Map<string, Fraction>();
  for (const line of lines) {
    const attempt = /^attempt \d+/.exec(line.leg ?? "")?.[0] ?? "";
    attempts.set(attempt, added(attempts.get(attempt) ?? { over: 0n, under: 1n }, lineAmount(line)));
  }
  return [...attempts.values()].map(rounded).reduce((one, other) => one + other, 0n);
}
