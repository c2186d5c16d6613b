// Counts, shares and sizes as text. Unknown is an en dash.

export const UNKNOWN = "–";

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** "1,234,567". */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : whole.format(value);
}

/** A decimal number with all its digits, those before the point in groups: "1,234.56789". Others are left as they are. */
export function grouped(text: string): string {
  const [, whole, behind = ""] = /^(\d+)(\.\d+)?$/.exec(text) ?? [];
  return whole === undefined ? text : whole.replace(/\B(?=(\d{3})+$)/g, ",") + behind;
}

/** A whole number above 0 as someone types it: "1200", "1,200"; null if it is none. */
export function typedCount(text: string): number | null {
  const bare = text.trim();
  return /^[1-9](\d{0,14}|\d{0,2}(,\d{3}){1,4})$/.test(bare) ? Number(bare.replaceAll(",", "")) : null;
}

/** "1.23 M", for where there is little room. */
export function brief(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN;
  const size = Math.abs(value);
  if (size < 10_000) return whole.format(value);
  for (const [unit, name] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) {
    if (size >= unit * 0.99995) {
      const scaled = value / unit;
      return `${scaled.toFixed(Math.abs(scaled) >= 100 ? 0 : Math.abs(scaled) >= 10 ? 1 : 2)} ${name}`;
    }
  }
  return whole.format(value);
}

/** A label on an axis of counts: "1.5 M", without what the steps do not need; nothing at half a thing. */
export function axisCount(value: number): string {
  if (!Number.isInteger(value)) return "";
  return brief(value).replace(/(\.\d*?)0+ /, "$1 ").replace(". ", " ");
}

/** "12.3 %", and never 0 or 100 for what is not quite. */
export function share(part: number, of: number): string {
  if (of === 0) return UNKNOWN;
  const percent = (100 * part) / of;
  if (percent === 0 || percent === 100) return `${percent} %`;
  if (percent < 0.1) return "< 0.1 %";
  if (percent > 99.9) return "> 99.9 %";
  return `${percent.toFixed(percent >= 99 || percent < 10 ? 1 : 0)} %`;
}

/** How much more or less than before: a ratio of change such as 0.12, null where there was nothing to compare with. */
export function change(now: number | bigint | null, before: number | bigint | null): number | null {
  if (now === null || before === null || before == 0) return null;
  if (typeof now === "bigint" && typeof before === "bigint") {
    return Number(((now - before) * 100_000n) / (before < 0n ? -before : before)) / 100_000;
  }
  return (Number(now) - Number(before)) / Math.abs(Number(before));
}

/** "+12 %", "−3.4 %", "×5.2". */
export function changeText(ratio: number): string {
  if (ratio >= 2) return `×${(ratio + 1).toFixed(ratio >= 9 ? 0 : 1)}`;
  const percent = Math.abs(ratio * 100);
  const text = percent >= 10 ? percent.toFixed(0) : percent.toFixed(1);
  return `${ratio < 0 ? "−" : "+"}${text} %`;
}

/** The sum of what is known; null if nothing is. */
export function sumOf(values: Iterable<number | null | undefined>): number | null {
  let sum: number | null = null;
  for (const value of values) if (value !== null && value !== undefined) sum = (sum ?? 0) + value;
  return sum;
}

/** "4.2 kB", powers of a thousand. */
export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  for (const [unit, name] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]] as const) {
    if (value >= unit) return `${(value / unit).toFixed(value >= 100 * unit ? 0 : 1)} ${name}`;
  }
  return `${value} B`;
}

/** "1 exchange", "2 exchanges". */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}
