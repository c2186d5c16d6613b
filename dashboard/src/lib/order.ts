// The order of a table's rows: what is unknown comes last, whichever way it is sorted.

export type Sortable = string | number | bigint | boolean | null | undefined;
export type Direction = "ascending" | "descending";

export interface Order {
  column: string;
  direction: Direction;
}

export function compare(one: Sortable, other: Sortable): number {
  if (typeof one === "string" && typeof other === "string") return one.localeCompare(other, "en", { numeric: true });
  return one! < other! ? -1 : one! > other! ? 1 : 0;
}

export function inOrder<T>(rows: readonly T[], by: (row: T) => Sortable, direction: Direction): T[] {
  const sign = direction === "ascending" ? 1 : -1;
  return rows
    .map((row, at) => ({ row, at, value: by(row) }))
    .sort((one, other) => {
      const missing = Number(one.value == null) - Number(other.value == null);
      if (missing !== 0) return missing;
      return (one.value == null ? 0 : sign * compare(one.value, other.value)) || one.at - other.at;
    })
    .map(({ row }) => row);
}

/** The next order when a column's header is pressed: its own first direction, and then the other one. */
export function pressed(order: Order | null, column: string, first: Direction): Order {
  if (order?.column !== column) return { column, direction: first };
  return { column, direction: order.direction === "ascending" ? "descending" : "ascending" };
}
