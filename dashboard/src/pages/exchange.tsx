// One exchange: how it went, what was used, and that the figures add up.

import { exchanges, holds, orNull } from "../api/client.ts";
import type { Entry, Exchange, Hold } from "../api/types.ts";
import { useLoad } from "../app/load.ts";
import { href, hrefOf } from "../app/router.ts";
import { basisSays, ENDINGS, flagSays, settledSays } from "../lib/endings.ts";
import { count, plural } from "../lib/numbers.ts";
import { Empty, Failure, Waiting } from "../parts/notice.tsx";
import { Head, Panel } from "../parts/panel.tsx";
import { Badge, Copy, EndingBadge, Money, When } from "../parts/text.tsx";
import { ApiError } from "../api/http.ts";
import { Bill } from "./exchange-bill.tsx";
import { Ledger } from "./exchange-ledger.tsx";
import { Timeline } from "./exchange-timeline.tsx";
import { TranscriptPanel } from "./exchange-transcript.tsx";
import { UsagePanel } from "./exchange-usage.tsx";
import { modelOf } from "./exchange-table.tsx";

interface Whole {
  exchange: Exchange;
  hold: Hold | null;
  entries: Entry[];
}

async function load(id: string, signal: AbortSignal): Promise<Whole> {
  const exchange = await exchanges.get(id, signal);
  if (exchange.hold_usd === null) return { exchange, hold: null, entries: [] };
  const ids = holdsOf(exchange);
  const found = (await Promise.all(ids.map((hold) => holds.get(hold, signal)))).filter((hold) => hold !== null);
  const entries = await Promise.all(found.map((hold) => orNull(holds.entries(hold.hold_id, signal))));
  return { exchange, hold: found.at(-1) ?? null, entries: entries.flatMap((page) => page?.data ?? []) };
}

/** The ids of its attempts' holds, in order; a gateway that died could not write down its last attempt. */
function holdsOf(exchange: Exchange): string[] {
  const ids = new Set([exchange.exchange_id, ...exchange.attempts.flatMap((attempt) => attempt.hold_id ?? [])]);
  if (exchange.ending === "gateway_died" && exchange.attempts.length > 0) ids.add(`${exchange.exchange_id}.${ids.size + 1}`);
  return [...ids];
}

export function ExchangePage({ id }: { id: string }) {
  const loaded = useLoad(id, (signal) => load(id, signal));
  if (loaded.error instanceof ApiError && loaded.error.status === 404) {
    return (
      <>
        <Head title="Exchange" />
        <Empty title="There is no record of this exchange">
          <p>It may still be running (<a href={href("/live")}>Live</a>), or it is older than the records that are kept.</p>
        </Empty>
      </>
    );
  }
  return (
    <>
      <Head title="Exchange" lead={<span class="mono">{id} <Copy text={id} label="Copy the id" /></span>}>
        <a class="button" href={href("/exchanges")}>All exchanges</a>
      </Head>
      {loaded.error !== null && <Failure error={loaded.error} again={loaded.again} />}
      {loaded.value !== null ? <Shown {...loaded.value} /> : loaded.error === null && <Waiting what="the exchange" />}
    </>
  );
}

function Shown({ exchange, hold, entries }: Whole) {
  return (
    <>
      <Told exchange={exchange} />
      <Timeline exchange={exchange} entries={entries} />
      <div class="halves">
        <Bill exchange={exchange} />
        <Ledger exchange={exchange} hold={hold} entries={entries} />
      </div>
      <div class="halves">
        <UsagePanel exchange={exchange} />
        <Facts exchange={exchange} />
      </div>
      <TranscriptPanel id={exchange.exchange_id} />
      <Panel title="Raw record">
        <details>
          <summary>The record as JSON</summary>
          <pre class="raw" tabIndex={0}>{JSON.stringify(exchange, null, 2)}</pre>
        </details>
      </Panel>
    </>
  );
}

/** What happened, in sentences. */
function Told({ exchange }: { exchange: Exchange }) {
  const ending = ENDINGS[exchange.ending];
  const flags = exchange.flags.filter((flag) => flag !== exchange.ending);
  return (
    <section class="told panel" aria-label="What happened">
      <p class="headline">
        <EndingBadge ending={exchange.ending} />
        <strong>{modelOf(exchange) ?? "no model"}</strong>
        {exchange.provider !== null && <> through <a href={href("/exchanges", { provider: exchange.provider })}>{exchange.provider}</a></>}
        {exchange.key !== null && (
          <> by {exchange.key_id === null ? <a href={href("/exchanges", { key: exchange.key })}>{exchange.key}</a> : <a href={hrefOf("/keys", exchange.key_id)}>{exchange.key}</a>}</>
        )}
        <span class="sum"><Money usd={exchange.cost_usd} /></span>
      </p>
      <p>
        {ending?.says} The client was sent {exchange.status === 499 ? "nothing: it had left" : `status ${exchange.status}`}. {basisSays(exchange)}{" "}
        {settledSays(exchange)}
      </p>
      {exchange.error !== null && <p class="wrong mono">{exchange.error}</p>}
      {exchange.in_stream_error !== null && <p class="wrong mono">{exchange.in_stream_error}</p>}
      {flags.length > 0 && (
        <ul class="flags">
          {flags.map((flag) => (
            <li key={flag}><Badge tone="warn">{flag}</Badge> {flagSays(flag)}</li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Facts({ exchange }: { exchange: Exchange }) {
  const terms = Object.entries(exchange.terms ?? {}).map(([name, value]) => `${name}: ${value}`);
  const facts: [string, preact.ComponentChildren][] = [
    ["Began", <When key="at" ns={exchange.started_at_ns} />],
    ["Request", <span key="request" class="mono">{exchange.method} {exchange.path}</span>],
    ["Dialect", exchange.dialect === null ? null : `${exchange.dialect}, ${exchange.operation ?? "?"}${exchange.streamed ? ", streamed" : ""}`],
    ["Model asked for", exchange.model_asked],
    ["Model that served", exchange.served_model],
    ["Account", exchange.account === null ? null : <a key="account" href={hrefOf("/accounts", exchange.account)}>{exchange.account}</a>],
    ["Response id", exchange.response_id === null ? null : <span key="response" class="mono">{exchange.response_id}</span>],
    ["Finish reason", exchange.finish_reason],
    ["Evidence of the end", exchange.terminal_evidence],
    ["Service tier", exchange.service_tier],
    ["Terms", terms.length === 0 ? null : terms.join(", ")],
    ["Bytes from the provider", count(exchange.bytes_in)],
    ["Bytes to the client", count(exchange.bytes_out)],
    ["Text delivered", plural(exchange.delivered_bytes, "byte")],
    ["Counted", exchange.counted ? "yes" : "no: its usage is counted with another exchange, or there is none"],
  ];
  return (
    <Panel title="Facts">
      <dl class="facts">
        {facts.filter(([, value]) => value !== null).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}
