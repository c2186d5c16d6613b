// Columns on top of each other, as sums from below; and which part of a column a height falls into.

type Values = readonly (number | null)[];

/** For each group the sum of itself and all before it. What is unknown adds nothing. */
export function stacked(groups: readonly Values[]): number[][] {
  const sums: number[][] = [];
  groups.forEach((values, at) => {
    sums.push(values.map((value, i) => (value ?? 0) + (sums[at - 1]?.[i] ?? 0)));
  });
  return sums;
}

/** The group whose part of column `at` holds a value; null above the column and below zero. */
export function groupAt(sums: readonly (readonly number[])[], at: number, value: number): number | null {
  if (value < 0) return null;
  const found = sums.findIndex((own) => value < (own[at] ?? 0));
  return found === -1 ? null : found;
}

/** The first and the last bucket that a stretch touches, of buckets that begin at `starts`, in seconds. */
export function touched(starts: readonly number[], from: number, to: number): [number, number] {
  let first = 0;
  let last = 0;
  starts.forEach((start, at) => {
    if (start <= from) first = at;
    if (start < to) last = at;
  });
  return [first, Math.max(first, last)];
}
