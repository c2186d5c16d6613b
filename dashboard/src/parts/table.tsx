// The one table: sorts, filters, pages and exports what it has been given. Rows that are not loaded yet are asked for
// by `more`.

import type { ComponentChildren } from "preact";
import { useId, useMemo, useState } from "preact/hooks";

import { type Cell, csv } from "../lib/csv.ts";
import { count, plural } from "../lib/numbers.ts";
import { type Direction, inOrder, type Order, pressed, type Sortable } from "../lib/order.ts";
import { save } from "../lib/save.ts";
import { Icon } from "./icon.tsx";

export interface Column<T> {
  name: string;
  title: string;
  cell: (row: T) => ComponentChildren;
  /** What to sort by; a column without it cannot be sorted by. */
  sort?: (row: T) => Sortable;
  /** The direction that the first press on the header gives. */
  first?: Direction;
  /** What stands in the CSV, and what the filter looks at. */
  csv?: (row: T) => Cell;
  /** Its title in the CSV, where there is more to say than above the column. */
  csvTitle?: string;
  align?: "end";
  /** Only in the CSV, and for the filter. */
  unseen?: boolean;
  /** The column that names the row. */
  head?: boolean;
  /** Left out where there is little room: 4 first, 2 only on phones. */
  rank?: 2 | 3 | 4;
}

export interface TableProps<T> {
  caption: string;
  columns: Column<T>[];
  rows: T[];
  id: (row: T) => string;
  order?: Order;
  pageSize?: number;
  /** Shows a field that filters the loaded rows by their texts. */
  filter?: string;
  csvName?: string;
  /** Asks for further rows; null where there are none. */
  more?: (() => void) | null;
  busy?: boolean;
  /** There are more rows, which were not asked for and cannot be. */
  cut?: boolean;
  /** What is said where there is nothing, and nothing more to ask for either. */
  empty: ComponentChildren;
}

export function Table<T>(props: TableProps<T>) {
  const { columns, rows, pageSize = 50, filter } = props;
  const [order, setOrder] = useState<Order | null>(props.order ?? null);
  const [wanted, setWanted] = useState("");
  const [shownPages, setShownPages] = useState(1);
  const sorted = useMemo(() => arranged(rows, columns, order, wanted), [rows, columns, order, wanted]);
  const shown = sorted.slice(0, shownPages * pageSize);
  const paging = props.more !== undefined;
  const seen = columns.filter((column) => column.unseen !== true);
  const visible = paging ? sorted : shown;
  const more = props.more ?? null;
  return (
    <div class="table">
      {filter !== undefined && rows.length > 0 && (
        <div class="tools">
          <Filter label={filter} value={wanted} change={setWanted} />
        </div>
      )}
      {rows.length === 0 ? (
        more === null && props.empty !== null && <div class="nothing">{props.empty}</div>
      ) : (
        <div class="scroll" role="region" aria-label={props.caption} tabIndex={0}>
          <table aria-busy={props.busy === true}>
            <caption class="hidden">{props.caption}</caption>
            <Header columns={seen} order={order} press={setOrder} />
            <tbody>
              {visible.map((row) => (
                <tr key={props.id(row)}>{seen.map((column) => <Field key={column.name} column={column} row={row} />)}</tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Foot
        shown={visible.length}
        found={sorted.length}
        all={rows.length}
        more={paging ? more : shown.length < sorted.length ? () => setShownPages(shownPages + 1) : null}
        unloaded={more !== null}
        cut={props.cut === true}
        busy={props.busy === true}
      >
        {props.csvName !== undefined && rows.length > 0 && <Export {...props} name={props.csvName} rows={sorted} />}
      </Foot>
    </div>
  );
}

function arranged<T>(rows: T[], columns: Column<T>[], order: Order | null, wanted: string): T[] {
  const needle = wanted.trim().toLowerCase();
  const found = needle === "" ? rows : rows.filter((row) =>
    columns.some((column) => String(column.csv?.(row) ?? "").toLowerCase().includes(needle)),
  );
  const by = columns.find((column) => column.name === order?.column)?.sort;
  return order === null || by === undefined ? found : inOrder(found, by, order.direction);
}

function classOf<T>(column: Column<T>): string {
  return `${column.align === "end" ? "end" : ""} ${column.rank === undefined ? "" : `rank-${column.rank}`}`.trim();
}

function Header<T>({ columns, order, press }: { columns: Column<T>[]; order: Order | null; press: (order: Order) => void }) {
  return (
    <thead>
      <tr>
        {columns.map((column) => {
          const own = order?.column === column.name ? order.direction : undefined;
          return (
            <th key={column.name} scope="col" class={classOf(column)} aria-sort={own ?? (column.sort ? "none" : undefined)}>
              {column.sort === undefined ? (
                column.title
              ) : (
                <button
                  type="button"
                  onClick={() => press(pressed(order, column.name, column.first ?? (column.align === "end" ? "descending" : "ascending")))}
                >
                  {column.title}
                  <i class={`sort ${own ?? ""}`} aria-hidden="true" />
                </button>
              )}
            </th>
          );
        })}
      </tr>
    </thead>
  );
}

function Field<T>({ column, row }: { column: Column<T>; row: T }) {
  return column.head === true ? (
    <th scope="row" class={classOf(column)}>{column.cell(row)}</th>
  ) : (
    <td class={classOf(column)}>{column.cell(row)}</td>
  );
}

function Filter({ label, value, change }: { label: string; value: string; change: (text: string) => void }) {
  const id = useId();
  return (
    <>
      <label class="hidden" for={id}>{label}</label>
      <input id={id} type="search" placeholder={label} value={value} onInput={(event) => change(event.currentTarget.value)} />
    </>
  );
}

function Export<T>({ columns, rows, name }: { columns: Column<T>[]; rows: T[]; name: string }) {
  const told = columns.filter((column) => column.csv !== undefined);
  const write = () => {
    const text = csv(told.map((column) => column.csvTitle ?? column.title), rows.map((row) => told.map((column) => column.csv?.(row))));
    save(`headgate-${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}.csv`, "text/csv", text);
  };
  return (
    <button type="button" class="quiet small" onClick={write} title={`The ${count(rows.length)} rows that are loaded, as CSV`}>
      <Icon name="save" size={14} /> These rows as CSV
    </button>
  );
}

interface FootProps {
  shown: number;
  found: number;
  all: number;
  more: (() => void) | null;
  unloaded: boolean;
  cut: boolean;
  busy: boolean;
  children: ComponentChildren;
}

/** How many rows of how many are shown. */
function told({ shown, found, all, unloaded, cut }: FootProps): string {
  if (all === 0) return "Nothing found so far";
  const of = unloaded ? `${count(shown)} loaded, there are more` : shown < found ? `${count(shown)} of ${count(found)}` : plural(found, "row");
  const filtered = found < all ? `${of}, filtered from ${count(all)}` : of;
  return cut ? `${filtered}: the first, there are more that are not loaded` : filtered;
}

function Foot(props: FootProps) {
  const { all, more, busy, children } = props;
  if (all === 0 && more === null) return null;
  return (
    <div class="foot">
      <span role="status">{told(props)}</span>
      {more !== null && (
        <button type="button" onClick={more} disabled={busy}>
          {busy ? "Loading…" : all === 0 ? "Look further back" : "Show more"}
        </button>
      )}
      {children}
    </div>
  );
}
