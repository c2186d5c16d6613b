// How the gateway is: its database, its books, its holds.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import { gateway, holds } from "../api/client.ts";
import type { Finding, Health, Hold } from "../api/types.ts";
import { useEvery, useLoad } from "../app/load.ts";
import { usePages } from "../app/pages.ts";
import { hrefOf } from "../app/router.ts";
import { nanosOf } from "../lib/money.ts";
import { count, plural } from "../lib/numbers.ts";
import { duration, lasting } from "../lib/time.ts";
import { Icon } from "../parts/icon.tsx";
import { Listed } from "../parts/listed.tsx";
import { Empty, With } from "../parts/notice.tsx";
import { Head, Panel } from "../parts/panel.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Ago, Badge, Money, When } from "../parts/text.tsx";

export function HealthPage() {
  const loaded = useLoad("health", (signal) => gateway.health(signal));
  useEvery(10, loaded.again);
  return (
    <>
      <Head title="Health" lead={loaded.value === null ? "How the gateway is" : <>headgate {loaded.value.version}, process {loaded.value.node}</>}>
        <button type="button" onClick={loaded.again}>Refresh</button>
      </Head>
      <With from={loaded} what="the gateway's health">{(health) => <Shown health={health} />}</With>
      <Check />
      <OpenHolds />
    </>
  );
}

type Tone = "good" | "warn" | "bad";

function Light({ tone, title, children }: { tone: Tone; title: string; children: ComponentChildren }) {
  return (
    <li class={`light ${tone}`}>
      <Icon name={tone === "good" ? "check" : "warn"} />
      <div>
        <h2>{title}</h2>
        <p>{children}</p>
      </div>
    </li>
  );
}

function Shown({ health }: { health: Health }) {
  const { database, books } = health;
  const now = new Date();
  const bookTone: Tone = books.balanced === true ? "good" : books.balanced === false ? "bad" : "warn";
  const title = { good: "The books balance", warn: "The books have not been checked yet", bad: "The books do not add up" }[bookTone];
  const { price_book: prices } = health;
  return (
    <ul class="lights">
      <Light tone={database.accepting ? "good" : "bad"} title={database.accepting ? "Records are kept" : "Records cannot be kept"}>
        {database.kind}; {database.backlog === 0 ? "nothing waits to be written" : `${plural(database.backlog, "write")} waiting`}
        {!database.accepting && "; new requests are refused until it can be written again"}
      </Light>
      <Light tone={bookTone} title={title}>
        {books.checked_at === null ? "The first check comes by itself; the button below does one now." : (
          <>
            {plural(books.accounts ?? 0, "account")}, checked <Ago at={books.checked_at} now={now} /> in {duration((books.took_ms ?? 0) * 1e6)}
            {books.wrong.length > 0 && <>; wrong: {books.wrong.join(", ")}</>}
          </>
        )}
      </Light>
      <Light tone="good" title={`Up for ${lasting(health.uptime_seconds)}`}>
        since <When at={health.started_at} />; Python {health.python}
      </Light>
      <Light tone="good" title={`${count(health.running)} under way`}>
        {health.open_holds === null ? "open holds are not known" : `${plural(health.open_holds, "open hold")} in the database`}
      </Light>
      <Light tone="good" title={`Prices of ${prices.source ?? "one's own"} ${prices.source_version ?? ""}`}>
        <span class="mono">{prices.version}</span>{prices.overrides > 0 && `, ${plural(prices.overrides, "price")} of the operator's own`}
      </Light>
      <SinceStart since={health.since_start} />
    </ul>
  );
}

/** What was odd since this process began; the first three should be none. */
function SinceStart({ since }: { since: Health["since_start"] }) {
  const odd = since.disputed + since.faults;
  const told = [
    [since.disputed, "disputed", "whose hold had been resolved otherwise"],
    [since.orphans, "orphans", "settled for a process that died"],
    [since.faults, "faults", "of the gateway's own"],
    ...Object.entries(since.flags).map(([flag, times]) => [times, flag, ""] as const),
  ] as const;
  const shown = told.filter(([times]) => times > 0);
  return (
    <Light tone={odd > 0 ? "bad" : "good"} title={`${plural(since.exchanges, "exchange")} since the start`}>
      {shown.length === 0 ? "none of them odd" : shown.map(([times, name, says]) => <Badge key={name} tone="warn" title={says || undefined}>{count(times)} {name}</Badge>)}
    </Light>
  );
}

function Check() {
  const [turn, setTurn] = useState(0);
  return (
    <Panel
      title="Do the books add up?"
      hint="Entries and open holds against the balances, account by account."
      actions={<button type="button" onClick={() => setTurn(turn + 1)}>{turn === 0 ? "Check now" : "Check again"}</button>}
    >
      {turn === 0 ? <p class="muted">The check adds up what is new in the ledger, as it stands at one moment. To read every entry of it again: headgate account check.</p> : <Findings turn={turn} />}
    </Panel>
  );
}

const VERDICTS = { right: "good", wrong: "bad" } as const;

const FINDINGS: Column<Finding>[] = [
  { name: "account", title: "Account", head: true, sort: (row) => row.account, csv: (row) => row.account, cell: (row) => <a href={hrefOf("/accounts", row.account)}>{row.account}</a> },
  { name: "verdict", title: "Verdict", sort: (row) => row.verdict, csv: (row) => row.verdict, cell: (row) => <Badge tone={VERDICTS[row.verdict]}>{row.verdict}</Badge> },
  { name: "posted", title: "Balance", align: "end", sort: (row) => nanosOf(row.posted_usd), csv: (row) => row.posted_usd, cell: (row) => <Money usd={row.posted_usd} decimals={9} /> },
  { name: "entries", title: "Its entries", align: "end", sort: (row) => nanosOf(row.entries_posted_usd), csv: (row) => row.entries_posted_usd, cell: (row) => <Money usd={row.entries_posted_usd} decimals={9} /> },
  { name: "held", title: "Held", rank: 3, align: "end", sort: (row) => nanosOf(row.held_usd), csv: (row) => row.held_usd, cell: (row) => <Money usd={row.held_usd} decimals={9} /> },
  { name: "holds", title: "Its open holds", rank: 3, align: "end", sort: (row) => nanosOf(row.open_holds_usd), csv: (row) => row.open_holds_usd, cell: (row) => <Money usd={row.open_holds_usd} decimals={9} /> },
];

function Findings({ turn }: { turn: number }) {
  const loaded = useLoad(String(turn), (signal) => gateway.check(signal));
  return (
    <With from={loaded} what="the check of the books">
      {({ data }) => {
        const wrong = data.filter((finding) => finding.verdict === "wrong").length;
        return (
          <>
            <p class={`notice ${wrong > 0 ? "bad" : "good"}`} role="status">
              {wrong > 0
                ? `${plural(wrong, "account does", "accounts do")} not add up. Someone has to look at it.`
                : `All ${plural(data.length, "account")} add up, to the nano-dollar.`}
            </p>
            <Table caption="Findings" columns={FINDINGS} rows={data} id={(row) => row.account} order={{ column: "verdict", direction: "descending" }} csvName="check" empty="There are no accounts." />
          </>
        );
      }}
    </With>
  );
}

const HOLDS: Column<Hold>[] = [
  { name: "placed", title: "Placed", head: true, sort: (row) => row.placed_at, csv: (row) => row.placed_at, cell: (row) => <When at={row.placed_at} /> },
  { name: "id", title: "Exchange", rank: 2, csv: (row) => row.hold_id, cell: (row) => <span class="mono">{row.hold_id}</span> },
  { name: "account", title: "Account", sort: (row) => row.account, csv: (row) => row.account, cell: (row) => <a href={hrefOf("/accounts", row.account)}>{row.account}</a> },
  { name: "sent", title: "Sent", rank: 2, sort: (row) => row.sent, csv: (row) => String(row.sent), cell: (row) => (row.sent ? "yes" : "no") },
  { name: "node", title: "Process", rank: 3, sort: (row) => row.node, csv: (row) => row.node, cell: (row) => <span class="mono muted">{row.node}</span> },
  { name: "amount", title: "Hold", align: "end", sort: (row) => nanosOf(row.amount_usd), csv: (row) => row.amount_usd, cell: (row) => <Money usd={row.amount_usd} decimals={6} /> },
  { name: "checkpoint", title: "Charge so far", rank: 2, align: "end", sort: (row) => nanosOf(row.checkpoint_usd), csv: (row) => row.checkpoint_usd, cell: (row) => <Money usd={row.checkpoint_usd} decimals={6} /> },
];

function OpenHolds() {
  const listed = usePages("holds", (cursor, signal) => holds.open({ limit: 50, cursor }, signal));
  return (
    <Panel title="Open holds" hint="Money set aside for what runs. Oldest first; an old one belongs to the sweep." actions={<button type="button" class="quiet" onClick={listed.again}>Refresh</button>}>
      <Listed from={listed} what="open holds" caption="Open holds" columns={HOLDS} id={(row) => row.hold_id} csvName="holds" empty={<Empty title="No hold is open" />} />
    </Panel>
  );
}
