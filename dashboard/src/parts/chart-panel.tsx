// A chart with its legend, what is under the pointer, and the same figures as a table.

import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";

import { go, setQuery } from "../app/router.ts";
import { bucket } from "../lib/time.ts";
import { Chart, type ChartData, type Hover } from "./chart.tsx";
import { Icon } from "./icon.tsx";
import { Panel } from "./panel.tsx";
import { type Column, Table } from "./table.tsx";

export interface ChartPanelProps {
  title: string;
  data: ChartData;
  form?: "columns" | "lines";
  height?: number;
  axis: (value: number, step: number) => string;
  /** The exact text of a group's figure. */
  text: (group: number, at: number) => string;
  /** The text of all groups' sum in a bucket; left out where a sum means nothing. */
  sum?: (at: number) => string;
  /** Behind each name in the legend. */
  total: (group: number) => ComponentChildren;
  /** Where a click or a drag leads: the address of what is behind some buckets, of one group or of all. */
  to?: (first: number, last: number, group: number | null) => string;
  /** Where a name in the legend leads. */
  link?: (group: number) => string | null;
  actions?: ComponentChildren;
  hint?: string;
  class?: string;
}

export function ChartPanel(props: ChartPanelProps) {
  const { title, data, form = "columns", hint } = props;
  const [asTable, setAsTable] = useState(false);
  const toggle = (
    <button
      type="button"
      class="quiet small"
      aria-pressed={asTable}
      aria-label={`${title} as a table`}
      title={asTable ? "Show the chart" : "Show as a table"}
      onClick={() => setAsTable(!asTable)}
    >
      <Icon name={asTable ? "chart" : "table"} />
    </button>
  );
  return (
    <Panel title={title} class={`charted ${props.class ?? ""}`} actions={<>{props.actions}{toggle}</>}>
      {asTable ? (
        <Figures {...props} />
      ) : (
        <>
          <Drawn {...props} form={form} />
          <Legend {...props} />
          {props.to !== undefined && (
            <p class="hint">{hint ?? "A click, or a drag over a stretch, leads to the exchanges."}</p>
          )}
        </>
      )}
      {data.step === "day" && <p class="hint">Days are days in UTC.</p>}
    </Panel>
  );
}

interface Pointed {
  hover: Hover;
  left: number;
  width: number;
}

function Drawn(props: ChartPanelProps & { form: "columns" | "lines" }) {
  const { title, data, form, height, axis, to } = props;
  const [pointed, setPointed] = useState<Pointed | null>(null);
  const name = `${title}, ${data.starts.length} values from ${first(data)} on; the button beside the title shows them as a table`;
  return (
    <div class="drawn">
      <Chart
        name={name}
        data={data}
        form={form}
        axis={axis}
        pick={to === undefined ? undefined : (first, last, group) => go(to(first, last, group))}
        {...(height === undefined ? {} : { height })}
        hover={(hover, left, width) => setPointed(hover === null ? null : { hover, left, width })}
      />
      {pointed !== null && pointed.hover.at < data.starts.length && <Tip {...props} pointed={pointed} />}
    </div>
  );
}

function first(data: ChartData): string {
  return data.starts[0] === undefined ? "nowhere" : bucket(data.starts[0], data.step);
}

function Tip({ data, text, sum, pointed }: ChartPanelProps & { pointed: Pointed }) {
  const { at, group } = pointed.hover;
  const side = pointed.left > pointed.width / 2 ? { right: `${pointed.width - pointed.left + 14}px` } : { left: `${pointed.left + 14}px` };
  const rows = data.groups.map((own, i) => ({ own, i })).filter(({ own }) => own.values[at] !== null && own.values[at] !== 0);
  return (
    <div class="tip" style={side} aria-hidden="true">
      <strong>{bucket(data.starts[at] ?? "", data.step)}</strong>
      {rows.length === 0 && <p>nothing</p>}
      {rows.reverse().map(({ own, i }) => (
        <p key={i} class={i === group ? "pointed" : ""}>
          <Swatch tint={own.tint} /> <span>{own.label}</span> <b>{text(i, at)}</b>
        </p>
      ))}
      {sum !== undefined && rows.length > 1 && (
        <p class="sum">
          together <b>{sum(at)}</b>
        </p>
      )}
    </div>
  );
}

export function Swatch({ tint }: { tint: string }) {
  return <i class={`swatch ${tint}`} aria-hidden="true" />;
}

function Legend({ data, total, link }: ChartPanelProps) {
  return (
    <ul class="legend">
      {data.groups.map((group, i) => {
        const to = link?.(i) ?? null;
        return (
          <li key={group.label}>
            <Swatch tint={group.tint} />
            {to === null ? <span>{group.label}</span> : <a href={to} title={group.label}>{group.label}</a>}
            <b class="number">{total(i)}</b>
          </li>
        );
      })}
    </ul>
  );
}

function Figures({ title, data, text, sum, to }: ChartPanelProps) {
  const columns = useMemo(() => {
    const name = (at: number) => bucket(data.starts[at] ?? "", data.step);
    const start: Column<number> = {
      name: "start",
      title: "From",
      head: true,
      cell: (at) => (to === undefined ? name(at) : <a href={to(at, at, null)}>{name(at)}</a>),
      sort: (at) => at,
      csv: (at) => data.starts[at],
    };
    const groups = data.groups.map(
      (group, i): Column<number> => ({
        name: `group-${i}`,
        title: group.label,
        align: "end",
        cell: (at) => text(i, at),
        sort: (at) => group.values[at],
        csv: (at) => text(i, at),
      }),
    );
    const all: Column<number>[] = sum === undefined || data.groups.length < 2 ? [] : [{
      name: "sum", title: "Together", align: "end", cell: (at) => sum(at),
      sort: (at) => data.groups.reduce((before, group) => before + (group.values[at] ?? 0), 0), csv: (at) => sum(at),
    }];
    return [start, ...groups, ...all];
  }, [data]);
  return (
    <Table
      caption={title}
      columns={columns}
      rows={data.starts.map((_, at) => at)}
      id={String}
      order={{ column: "start", direction: "descending" }}
      pageSize={25}
      csvName={title}
      empty="Nothing happened."
    />
  );
}

/** A switch between a few choices, kept in the address. */
export function Choice<T extends string>({ label, name, value, choices }: {
  label: string;
  name: string;
  value: T;
  choices: readonly (readonly [T, string])[];
}) {
  return (
    <div class="segments" role="group" aria-label={label}>
      {choices.map(([choice, text]) => (
        <button type="button" key={choice} aria-pressed={choice === value} onClick={() => setQuery({ [name]: choice })}>
          {text}
        </button>
      ))}
    </div>
  );
}
