// The charts of the overview; also those of a single key or account.

import { useMemo } from "preact/hooks";

import { sums } from "../api/client.ts";
import type { By, Series, SeriesGroup, Sums } from "../api/types.ts";
import { useLoad } from "../app/load.ts";
import { href, query } from "../app/router.ts";
import { axisDollars, nanosOf, pixels, sumOf } from "../lib/money.ts";
import { axisCount, count } from "../lib/numbers.ts";
import { type Span, stepSeconds } from "../lib/span.ts";
import { rfc } from "../lib/time.ts";
import { costText, KINDS, tokensOf, type Total } from "../lib/totals.ts";
import type { ChartData } from "../parts/chart.tsx";
import { ChartPanel, Choice } from "../parts/chart-panel.tsx";
import { With } from "../parts/notice.tsx";
import { tint } from "../parts/palette.ts";
import { Panel } from "../parts/panel.tsx";
import { Count, Spent } from "../parts/text.tsx";

const BYS: readonly (readonly [By, string])[] = [["model", "Model"], ["key", "Key"], ["provider", "Provider"], ["account", "Account"]];
const FORMS = [["columns", "Stacked"], ["lines", "Lines"]] as const;

/** The exchanges of some buckets, and of a group where one was pressed. */
export function exchangesOf(series: Series, first: number, last: number, more: Record<string, string | null> = {}): string {
  const since = series.starts[first];
  const end = Date.parse(series.starts[last] ?? "") + stepSeconds(series.step) * 1000;
  return href("/exchanges", { since: since ?? null, until: rfc(new Date(end)), ...more });
}

function labelOf(group: SeriesGroup, by: By): string {
  return group.others ? "all others" : (group.name ?? `no ${by}`);
}

export function SpendChart({ span, total, stamp }: { span: Span; total: Total; stamp: string }) {
  const by = BYS.find(([name]) => name === query.value.get("by"))?.[0] ?? "model";
  const form = query.value.get("form") === "lines" ? "lines" : "columns";
  const since = rfc(span.since);
  const until = span.until === null ? undefined : rfc(span.until);
  const loaded = useLoad(`${by} ${since} ${until ?? ""} ${stamp}`, (signal) =>
    sums.series({ by, step: span.step, since, until, top: 8 }, signal),
  );
  const actions = (
    <>
      <Choice label="Spend by" name="by" value={by} choices={BYS} />
      <Choice label="Form of the chart" name="form" value={form} choices={FORMS} />
    </>
  );
  if (loaded.value === null) {
    return (
      <Panel title="Spend over time" actions={actions} class="charted">
        <With from={loaded} what="spend over time">{() => null}</With>
      </Panel>
    );
  }
  return <Spend series={loaded.value} by={loaded.value.by ?? by} form={form} actions={actions} unpriced={total.unpriced} />;
}

interface SpendProps {
  series: Series;
  by: By;
  form: "columns" | "lines";
  actions: preact.ComponentChildren;
  unpriced: number;
}

function Spend({ series, by, form, actions, unpriced }: SpendProps) {
  const costs = useMemo(() => series.groups.map((group) => group.rows.map((row) => nanosOf(row?.cost_usd))), [series]);
  const data = useMemo(
    (): ChartData => ({
      starts: series.starts,
      step: series.step,
      groups: series.groups.map((group, at) => ({
        label: labelOf(group, by),
        tint: group.others ? "series-others" : tint(at),
        values: (costs[at] ?? []).map((cost, i) => (group.rows[i] === null ? 0 : pixels(cost))),
      })),
    }),
    [series, costs],
  );
  const filter = (at: number | null) => {
    const group = at === null ? undefined : series.groups[at];
    return group === undefined || group.others || group.name === null ? {} : { [by]: group.name };
  };
  return (
    <ChartPanel
      title="Spend over time"
      data={data}
      form={form}
      height={250}
      axis={axisDollars}
      text={(group, at) => costText(costs[group]?.[at] ?? null, [series.groups[group]?.rows[at]])}
      sum={(at) => costText(sumOf(costs.map((own) => own[at] ?? null)), series.groups.map((group) => group.rows[at]))}
      total={(group) => <Known cost={sumOf(costs[group] ?? [])} rows={series.groups[group]?.rows ?? []} />}
      to={(first, last, group) => exchangesOf(series, first, last, filter(group))}
      link={(group) => {
        const own = filter(group);
        return Object.keys(own).length === 0 ? null : exchangesOf(series, 0, series.starts.length - 1, own);
      }}
      actions={actions}
      class="wide"
      {...(unpriced > 0
        ? { hint: `A click, or a drag over a stretch, leads to the exchanges. What has no price is not in it: ${count(unpriced)} exchanges.` }
        : {})}
    />
  );
}

/** A sum of nothing but what has no price is not known; that of nothing at all is nothing. */
function Known({ cost, rows }: { cost: bigint | null; rows: (Sums | null)[] }) {
  const unpriced = rows.reduce((sum, row) => sum + (row?.unpriced ?? 0), 0);
  return <Spent nanos={rows.every((row) => row === null) ? 0n : cost} unpriced={unpriced} />;
}

/** One line of values out of the sums of a series without groups. */
function whole(series: Series): (Sums | null)[] {
  return series.groups[0]?.rows ?? series.starts.map(() => null);
}

export function RequestsChart({ series, filter = {} }: { series: Series; filter?: Record<string, string> }) {
  const rows = whole(series);
  const groups = useMemo(
    () => [
      { label: "ended well", tint: "series-1", values: rows.map((row) => (row ? row.exchanges - row.errors - row.cancelled : 0)), mark: null },
      { label: "left by the client", tint: "series-others", values: rows.map((row) => row?.cancelled ?? 0), mark: "cancelled" },
      { label: "failed", tint: "bad-fill", values: rows.map((row) => row?.errors ?? 0), mark: "failed" },
    ],
    [series],
  );
  const data = useMemo((): ChartData => ({ starts: series.starts, step: series.step, groups }), [groups]);
  const sum = (values: number[]) => values.reduce((before, value) => before + value, 0);
  return (
    <ChartPanel
      title="Requests and errors"
      data={data}
      axis={axisCount}
      text={(group, at) => count(groups[group]?.values[at])}
      sum={(at) => count(sum(groups.map((group) => group.values[at] ?? 0)))}
      total={(group) => <Count value={sum(groups[group]?.values ?? [])} />}
      to={(first, last, group) =>
        exchangesOf(series, first, last, { ...filter, mark: group === null ? null : (groups[group]?.mark ?? null) })
      }
      link={(group) => exchangesOf(series, 0, series.starts.length - 1, { ...filter, mark: groups[group]?.mark ?? null })}
          />
  );
}

const TOKEN_TINTS = ["series-1", "series-4", "series-5", "series-2", "series-3"];

export function TokensChart({ series, filter = {} }: { series: Series; filter?: Record<string, string> }) {
  const rows = whole(series);
  const groups = useMemo(() => {
    const tokens = rows.map((row) => (row === null ? null : tokensOf(row)));
    return KINDS.map(([kind, label], at) => ({
      label,
      tint: TOKEN_TINTS[at] ?? "series-others",
      values: tokens.map((own) => (own === null ? 0 : own[kind])),
    }));
  }, [series]);
  const data = useMemo((): ChartData => ({ starts: series.starts, step: series.step, groups }), [groups]);
  const sum = (values: (number | null)[]) => values.reduce<number>((before, value) => before + (value ?? 0), 0);
  return (
    <ChartPanel
      title="Tokens"
      data={data}
      axis={axisCount}
      text={(group, at) => count(groups[group]?.values[at])}
      sum={(at) => count(sum(groups.map((group) => group.values[at] ?? null)))}
      total={(group) => <Count value={sum(groups[group]?.values ?? [])} short />}
      to={(first, last) => exchangesOf(series, first, last, filter)}
      hint="Each token counts once; estimates are in it."
    />
  );
}

/** The spend of one thing: a key, an account. */
export function OwnSpendChart({ series, filter }: { series: Series; filter: Record<string, string> }) {
  const rows = whole(series);
  const costs = useMemo(() => rows.map((row) => nanosOf(row?.cost_usd)), [series]);
  const data = useMemo(
    (): ChartData => ({
      starts: series.starts,
      step: series.step,
      groups: [{ label: "spend", tint: "series-1", values: costs.map((cost, at) => (rows[at] === null ? 0 : pixels(cost))) }],
    }),
    [costs],
  );
  return (
    <ChartPanel
      title="Spend over time"
      data={data}
      axis={axisDollars}
      text={(_, at) => costText(costs[at] ?? null, [rows[at]])}
      total={() => <Known cost={sumOf(costs)} rows={rows} />}
      to={(first, last) => exchangesOf(series, first, last, filter)}
    />
  );
}
