// What one key or account spent in a stretch of time, and its exchanges.

import { exchanges, sums } from "../api/client.ts";
import { useLoad } from "../app/load.ts";
import { usePages } from "../app/pages.ts";
import { href } from "../app/router.ts";
import { type Span, spanParams, spanText } from "../lib/span.ts";
import { rfc } from "../lib/time.ts";
import { totalOf } from "../lib/totals.ts";
import { Empty, With } from "../parts/notice.tsx";
import { Panel } from "../parts/panel.tsx";
import { ExchangeTable } from "./exchange-table.tsx";
import { OwnSpendChart, RequestsChart } from "./overview-charts.tsx";
import { SmallFigures } from "./small-figures.tsx";

interface OwnProps {
  by: "key" | "account";
  /** As sums name it. */
  name: string;
  /** As the filter of exchanges names it. */
  id: string;
  span: Span;
}

/** What says that it is another stretch; one that ends now moves on by itself, and is asked for once. */
export function stampOf(span: Span): string {
  return span.range ?? `${rfc(span.since)} ${span.until === null ? "" : rfc(span.until)}`;
}

function bounds(span: Span): { since: string; until: string | undefined } {
  return { since: rfc(span.since), until: span.until === null ? undefined : rfc(span.until) };
}

export function OwnSpending({ by, name, id, span }: OwnProps) {
  const series = useLoad(`${by} ${name} ${stampOf(span)}`, (signal) =>
    sums.series({ by, name, step: span.step, ...bounds(span) }, signal),
  );
  const filter = { ...spanParams(span), [by]: id };
  return (
    <With from={series} what="what it spent">
      {(value) => (
        <>
          <SmallFigures
            total={totalOf((value.groups[0]?.rows ?? []).filter((row) => row !== null))}
            filter={filter}
            title={`In ${spanText(span)}`}
          />
          <div class="halves">
            <OwnSpendChart series={value} filter={{ [by]: id }} />
            <RequestsChart series={value} filter={{ [by]: id }} />
          </div>
        </>
      )}
    </With>
  );
}

export function OwnExchanges({ by, id, span }: Omit<OwnProps, "name">) {
  const listed = usePages(`${by} ${id} ${stampOf(span)}`, (cursor, signal) =>
    exchanges.list({ [by]: id, ...bounds(span) }, { limit: 25, cursor }, signal),
  );
  const all = href("/exchanges", { ...spanParams(span), [by]: id });
  return (
    <Panel title="Its exchanges" actions={<a class="button" href={all}>Filter them</a>}>
      <ExchangeTable
        from={listed}
        leave={by === "key" ? ["key", "account"] : ["account"]}
        empty={<Empty title={`Nothing was asked with this ${by} in this stretch of time`} />}
      />
    </Panel>
  );
}
