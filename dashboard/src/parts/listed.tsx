// A list that comes page by page, as a table: on its way, could not be had, or there. Another list in its place keeps
// the order and the filter of the table.

import type { Paged } from "../app/pages.ts";
import { Failure, Waiting } from "./notice.tsx";
import { Table, type TableProps } from "./table.tsx";

type Given<T> = Omit<TableProps<T>, "rows" | "more" | "busy" | "cut">;

export function Listed<T>({ from, what, ...table }: Given<T> & { from: Paged<T>; what: string }) {
  const awaited = from.error === null ? <Waiting what={what} /> : null;
  return (
    <>
      {from.error !== null && <Failure error={from.error} again={from.again} />}
      <Table {...table} rows={from.rows} more={from.more} busy={from.busy} empty={from.first ? awaited : table.empty} />
    </>
  );
}
