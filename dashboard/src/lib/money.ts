// Money is a bigint of nano-dollars, read from the API's exact decimal dollars. No amount is ever a float, but for where
// on the screen it is drawn.

export type Nanos = bigint;

const NANOS = 1_000_000_000n;
const USD = /^(-?)(\d+)(?:\.(\d{1,9}))?$/;

/** The nano-dollars of "12.50"; null of null, and of what is no such text. */
export function nanosOf(usd: string | null | undefined): Nanos | null {
  const match = USD.exec(usd ?? "");
  if (match === null) return null;
  const [, sign, whole = "0", decimals = ""] = match;
  const nanos = BigInt(whole) * NANOS + BigInt(decimals.padEnd(9, "0"));
  return sign === "-" ? -nanos : nanos;
}

/** The sum of what is known; null if nothing is. */
export function sumOf(amounts: Iterable<Nanos | null>): Nanos | null {
  let sum: Nanos | null = null;
  for (const amount of amounts) if (amount !== null) sum = (sum ?? 0n) + amount;
  return sum;
}

/** Every digit: "$12.345678901", "$12.50". */
export function exact(nanos: Nanos): string {
  return fixed(nanos, 9).replace(/(\.\d{2}\d*?)0+$/, "$1");
}

/** With so many decimals, rounded half away from zero: "$1,234.50". */
export function fixed(nanos: Nanos, decimals: number): string {
  const unit = 10n ** BigInt(9 - decimals);
  const size = nanos < 0n ? -nanos : nanos;
  const rounded = ((size + unit / 2n) / unit) * unit;
  const whole = (rounded / NANOS).toString().replace(/\B(?=(\d{3})+$)/g, ",");
  const text = (rounded % NANOS).toString().padStart(9, "0").slice(0, decimals);
  return `${nanos < 0n && rounded !== 0n ? "−" : ""}$${whole}${decimals > 0 ? `.${text}` : ""}`;
}

/** Short, and never "$0.00" for what is more than nothing: cents from a dollar up, below it three digits that count. */
export function brief(nanos: Nanos): string {
  const size = nanos < 0n ? -nanos : nanos;
  if (size === 0n) return "$0.00";
  if (size >= 100_000n * NANOS) return fixed(nanos, 0);
  if (size >= NANOS) return fixed(nanos, 2);
  const leading = 9 - size.toString().length; // zeros behind the point
  return fixed(nanos, Math.min(9, Math.max(2, leading + 3)));
}

/** For a place on the screen, and for nothing else. */
export function pixels(nanos: Nanos | null): number | null {
  return nanos === null ? null : Number(nanos) / 1e9;
}

/** A label on an axis of dollars. */
export function axisDollars(value: number, step: number): string {
  if (value === 0) return "$0";
  const decimals = decimalsOf(step);
  return `$${value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals })}`;
}

/** As many decimals as tell all multiples of a step apart: none for whole dollars, or else cents at least. */
function decimalsOf(step: number): number {
  for (let decimals = 0; decimals < 9; decimals += 1) {
    const scaled = step * 10 ** decimals;
    if (Math.abs(scaled - Math.round(scaled)) < 1e-6 * scaled) return decimals === 0 ? 0 : Math.max(2, decimals);
  }
  return 9;
}

/**
 * What an operator may type as an amount: "12", "12.5", "$1,200.50"; null if it is none. A comma stands between
 * thousands and nowhere else: "0,500" may well be meant as a half.
 */
export function typed(text: string): string | null {
  const bare = text.trim().replace(/^(-?)\$/, "$1");
  return /^-?(\d{1,9}|[1-9]\d{0,2}(,\d{3}){1,2})(\.\d{1,9})?$/.test(bare) ? bare.replaceAll(",", "") : null;
}
