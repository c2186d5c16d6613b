// What is being spent, on what, by whom, and whether the numbers can be trusted.

import { useMemo } from "preact/hooks";

import { gateway, orNull, sums } from "../api/client.ts";
import type { By, Health, Series, UsageRow } from "../api/types.ts";
import { useEvery, useLoad } from "../app/load.ts";
import { href, query } from "../app/router.ts";
import { before, type Span, spanOf, spanParams } from "../lib/span.ts";
import { rfc } from "../lib/time.ts";
import { totalOf } from "../lib/totals.ts";
import { Empty, With } from "../parts/notice.tsx";
import { Head } from "../parts/panel.tsx";
import { RangePicker } from "../parts/range.tsx";
import { Ago, Code } from "../parts/text.tsx";
import { Attention } from "./overview-attention.tsx";
import { RequestsChart, SpendChart, TokensChart } from "./overview-charts.tsx";
import { Figures, Sentence } from "./overview-figures.tsx";
import { Tops } from "./overview-tops.tsx";
import { Trust } from "./overview-trust.tsx";

const BYS: readonly By[] = ["model", "key", "provider", "account"];

export interface Overview {
  span: Span;
  series: Series;
  by: Record<By, UsageRow[]>;
  earlier: UsageRow[];
  health: Health | null;
  /** When it was loaded. */
  at: string;
}

async function load(span: Span, now: Date, signal: AbortSignal): Promise<Overview> {
  const since = rfc(span.since);
  const until = span.until === null ? undefined : rfc(span.until);
  const past = before(span, now);
  const [series, earlier, health, ...groups] = await Promise.all([
    sums.series({ step: span.step, since, until }, signal),
    sums.usage("provider", rfc(past.since), rfc(past.until), signal),
    orNull(gateway.health(signal)),
    ...BYS.map((by) => sums.usage(by, since, until, signal)),
  ]);
  const by = Object.fromEntries(BYS.map((name, at) => [name, groups[at]?.rows ?? []])) as Record<By, UsageRow[]>;
  return { span, series, by, earlier: earlier.rows, health, at: now.toISOString() };
}

export function OverviewPage() {
  const address = query.value;
  const key = [address.get("range"), address.get("since"), address.get("until")].join(" ");
  const now = new Date();
  const loaded = useLoad(key, (signal) => load(spanOf(address, new Date()), new Date(), signal));
  const span = spanOf(address, now);
  useEvery(span.range === "1h" ? 15 : 60, loaded.again, span.until === null);
  return (
    <>
      <Head title="Overview" lead={loaded.at !== null && <>as of <Ago at={loaded.at.toISOString()} now={now} /></>}>
        <RangePicker span={span} />
      </Head>
      <With from={loaded} what="the overview">
        {(overview) => (
          <div class={loaded.loading ? "stale" : ""} aria-busy={loaded.loading}>
            <Shown overview={overview} />
          </div>
        )}
      </With>
    </>
  );
}

function Shown({ overview }: { overview: Overview }) {
  const total = useMemo(() => totalOf(overview.by.provider), [overview]);
  const earlier = useMemo(() => totalOf(overview.earlier), [overview]);
  const params = spanParams(overview.span);
  if (total.exchanges === 0) return <Nothing earlier={earlier.exchanges} />;
  return (
    <>
      <Sentence overview={overview} total={total} earlier={earlier} />
      <Figures overview={overview} total={total} earlier={earlier} />
      <Trust total={total} health={overview.health} params={params} />
      <Attention series={overview.series} stamp={overview.at} />
      <SpendChart span={overview.span} total={total} stamp={overview.at} />
      <div class="halves">
        <RequestsChart series={overview.series} />
        <TokensChart series={overview.series} />
      </div>
      <Tops by={overview.by} total={total} params={params} />
    </>
  );
}

function Nothing({ earlier }: { earlier: number }) {
  const curl = `curl ${location.origin}/v1/chat/completions \\
  -H "Authorization: Bearer $YOUR_KEY" -H "Content-Type: application/json" \\
  -d '{"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}'`;
  return (
    <Empty title="No exchanges in this stretch of time">
      {earlier > 0 ? (
        <p>There were {earlier} in the stretch before it. Choose a longer one above.</p>
      ) : (
        <p>
          Every request that goes through the gateway shows up here, a moment after it has ended. Send one, with a key
          from the page <a href={href("/keys")}>Keys</a>:
        </p>
      )}
      <Code text={curl} label="a first request" />
    </Empty>
  );
}
