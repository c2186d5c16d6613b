// What runs now, in this process of the gateway, and what has just ended.

import { useEffect, useState } from "preact/hooks";

import type { LiveExchange } from "../api/types.ts";
import { type Link, type LiveState, useLive } from "../app/live.ts";
import { hrefOf } from "../app/router.ts";
import { nanosOf } from "../lib/money.ts";
import { bytes, count, plural } from "../lib/numbers.ts";
import { duration } from "../lib/time.ts";
import { Bar, Spark } from "../parts/gauge.tsx";
import { Empty, Failure, Waiting } from "../parts/notice.tsx";
import { Head, Panel } from "../parts/panel.tsx";
import { Badge, EndingBadge, Money, Unknown, When } from "../parts/text.tsx";
import { modelOf, Tokens, tokensOf } from "./exchange-table.tsx";

const LINKS: Record<Link, { tone: "good" | "warn" | "plain"; name: string }> = {
  connecting: { tone: "plain", name: "connecting…" },
  open: { tone: "good", name: "live" },
  lost: { tone: "warn", name: "connection lost, trying again…" },
  paused: { tone: "plain", name: "paused" },
};

export function LivePage() {
  const [wanted, setWanted] = useState(true);
  const live = useLive(wanted);
  const { tone, name } = LINKS[live.link];
  return (
    <>
      <Head title="Live" lead={live.snapshot === null ? "What runs now" : <>What runs now in the process {live.snapshot.node}</>}>
        <span role="status"><Badge tone={tone}>{name}</Badge></span>
        <button type="button" aria-pressed={!wanted} onClick={() => setWanted(!wanted)}>{wanted ? "Pause" : "Go on"}</button>
      </Head>
      {live.why !== null && <Failure error={live.why} />}
      {live.snapshot === null ? <Waiting what="what runs now" /> : (
        <>
          <Rates live={live} />
          <Panel title="Under way" hint="A bar is what was spent so far, of what was set aside.">
            <Running exchanges={live.snapshot.exchanges} running={live.snapshot.running} />
          </Panel>
          <Panel title="Just ended" hint={live.skipped > 0 ? `${plural(live.skipped, "more")} ended too quickly to be shown` : undefined}>
            <Ended live={live} />
          </Panel>
        </>
      )}
    </>
  );
}

/** What a screen reader is told: at most every ten seconds, however often it changes. */
function Told({ live }: { live: LiveState }) {
  const [told, setTold] = useState("");
  const now = `${plural(live.snapshot?.running ?? 0, "exchange")} under way`;
  const [latest] = useState({ now });
  latest.now = now;
  useEffect(() => {
    const timer = setInterval(() => setTold(latest.now), 10_000);
    return () => clearInterval(timer);
  }, []);
  return <p class="hidden" aria-live="polite">{told}</p>;
}

function Rates({ live }: { live: LiveState }) {
  const { history, snapshot } = live;
  const minute = history.slice(-60);
  const ended = minute.reduce((sum, point) => sum + point.ended, 0);
  const seconds = Math.round(((minute.at(-1)?.at ?? 0) - (minute[0]?.at ?? 0)) / 1000) + 1;
  const streaming = snapshot?.exchanges.filter((own) => own.phase === "streaming").length ?? 0;
  return (
    <>
      <ul class="figures rates">
        <li><div><span class="name">Under way</span><span class="value">{count(snapshot?.running ?? 0)}</span><span class="note">{count(streaming)} of them streaming</span><Spark values={history.map((point) => point.running)} /></div></li>
        <li><div><span class="name">Ended</span><span class="value">{count(ended)}</span><span class="note">in the last {seconds} s</span><Spark values={history.map((point) => point.ended)} /></div></li>
        <li><div><span class="name">Tokens arriving</span><span class="value">{count(history.at(-1)?.tokens ?? 0)}</span><span class="note">a second, of what streams</span><Spark values={history.map((point) => point.tokens)} /></div></li>
      </ul>
      <Told live={live} />
    </>
  );
}

function Running({ exchanges, running }: { exchanges: LiveExchange[]; running: number }) {
  if (exchanges.length === 0) {
    return <Empty title="Nothing is under way"><p>Requests show up here the moment they have been let in, and their tokens as they arrive.</p></Empty>;
  }
  return (
    <div class="scroll table" role="region" aria-label="Under way" tabIndex={0}>
      <table class="running">
        <caption class="hidden">Exchanges under way</caption>
        <thead>
          <tr>
            <th scope="col">Model</th>
            <th scope="col" class="rank-2">Key</th>
            <th scope="col" class="rank-3">Provider</th>
            <th scope="col" class="rank-2">Phase</th>
            <th scope="col" class="end">Elapsed</th>
            <th scope="col" class="end rank-2">Input</th>
            <th scope="col" class="end">Output</th>
            <th scope="col" class="rank-2">Spent of its hold</th>
            <th scope="col" class="end">Spent</th>
            <th scope="col" class="end rank-3">Hold</th>
          </tr>
        </thead>
        <tbody>{exchanges.map((own) => <Row key={own.exchange_id} own={own} />)}</tbody>
      </table>
      {running > exchanges.length && <p class="hint">The newest {count(exchanges.length)} of {count(running)} are shown.</p>}
    </div>
  );
}

function Row({ own }: { own: LiveExchange }) {
  const hold = nanosOf(own.hold_usd);
  const spent = nanosOf(own.spent_usd);
  const part = hold === null || hold === 0n || spent === null ? null : Number((spent * 1000n) / hold) / 1000;
  return (
    <tr>
      <th scope="row" title={own.exchange_id}>{own.model === null ? <Unknown what="no model" /> : <span class="clip">{own.model}</span>}</th>
      <td class="rank-2">{own.key === null ? <Unknown what="no key" /> : own.key_id === null ? own.key : <a href={hrefOf("/keys", own.key_id)}>{own.key}</a>}</td>
      <td class="rank-3">{own.provider}</td>
      <td class="rank-2"><Badge tone={own.phase === "streaming" ? "good" : "plain"}>{own.phase}</Badge></td>
      <td class="end">{duration(own.elapsed_ms * 1e6)}</td>
      <td class="end rank-2"><Tokens value={own.input_tokens} estimated={own.estimated && !!own.input_tokens} /></td>
      <td class="end" title={`${bytes(own.delivered_bytes)} of text`}><Tokens value={own.output_tokens} estimated={own.estimated && !!own.output_tokens} /></td>
      <td class="rank-2 holding">{part === null ? <span class="muted">no hold</span> : <Bar part={part} tone={part > 1 ? "bad" : part > 0.8 ? "warn" : "accent"} />}</td>
      <td class="end"><Money usd={own.spent_usd} decimals={6} /></td>
      <td class="end rank-3"><Money usd={own.hold_usd} decimals={4} /></td>
    </tr>
  );
}

function Ended({ live }: { live: LiveState }) {
  if (live.ended.length === 0) return <p class="muted">Nothing has ended since you have been looking.</p>;
  return (
    <div class="scroll table" role="region" aria-label="Just ended" tabIndex={0}>
      <table>
        <caption class="hidden">Exchanges that have just ended, newest first</caption>
        <thead>
          <tr>
            <th scope="col">Began</th>
            <th scope="col">Model</th>
            <th scope="col" class="rank-2">Key</th>
            <th scope="col">Ending</th>
            <th scope="col" class="end rank-2">Output</th>
            <th scope="col" class="end">Cost</th>
            <th scope="col" class="end rank-2">Duration</th>
          </tr>
        </thead>
        <tbody>
          {live.ended.map((own) => (
            <tr key={own.exchange_id}>
              <th scope="row"><a href={hrefOf("/exchanges", own.exchange_id)}><When ns={own.started_at_ns} /></a></th>
              <td>{modelOf(own) === null ? <Unknown what="no model" /> : <span class="clip" title={modelOf(own) ?? ""}>{modelOf(own)}</span>}</td>
              <td class="rank-2">{own.key ?? <Unknown what="no key" />}</td>
              <td><EndingBadge ending={own.ending} /></td>
              <td class="end rank-2"><Tokens {...tokensOf(own, "output_tokens")} /></td>
              <td class="end"><Money usd={own.cost_usd} decimals={6} /></td>
              <td class="end rank-2">{duration(own.total_ns)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
