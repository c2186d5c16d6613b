// One account: its balance, what binds it, its keys, its entries, what it spent.

import { useState } from "preact/hooks";

import { accounts, budgets, everything, keys, sums } from "../api/client.ts";
import type { Account, Entry } from "../api/types.ts";
import { useLoad } from "../app/load.ts";
import { usePages } from "../app/pages.ts";
import { hrefOf, query } from "../app/router.ts";
import { nanosOf } from "../lib/money.ts";
import { sharedNames } from "../lib/names.ts";
import { spanOf } from "../lib/span.ts";
import { rfc } from "../lib/time.ts";
import { Listed } from "../parts/listed.tsx";
import { With } from "../parts/notice.tsx";
import { Head, Panel } from "../parts/panel.tsx";
import { RangePicker } from "../parts/range.tsx";
import type { Column } from "../parts/table.tsx";
import { Badge, Money, When } from "../parts/text.tsx";
import { AccountState, Closing, OpenForm, PostForm, roomOf } from "./account-parts.tsx";
import { BudgetTable, NewBudget } from "./budget-parts.tsx";
import { ENTRY_KINDS, signed } from "./exchange-ledger.tsx";
import { useKeyDialogs } from "./key-parts.tsx";
import { KeyTable } from "./keys.tsx";
import { OwnExchanges, OwnSpending, stampOf } from "./own-spending.tsx";

type Dialog = "top-up" | "correction" | "change" | "close" | null;

export function AccountPage({ id }: { id: string }) {
  const span = spanOf(query.value, new Date(), "30d");
  const [dialog, setDialog] = useState<Dialog>(null);
  const about = useLoad(`${id} ${stampOf(span)}`, async (signal) => {
    const [account, bounds, own, all, usage] = await Promise.all([
      accounts.get(id, signal),
      everything((paging) => budgets.list({ ...paging, scope: "account", subject: id }, signal)),
      everything((paging) => keys.list({ ...paging, account: id }, signal)),
      everything((paging) => keys.list(paging, signal)),
      sums.usage("key", rfc(span.since), span.until === null ? undefined : rfc(span.until), signal),
    ]);
    return { account, budgets: bounds, keys: own, shared: sharedNames(all.rows), usage: usage.rows };
  });
  const keyDialogs = useKeyDialogs([id], about.again, id);
  const account = about.value?.account;
  const close = () => setDialog(null);
  const done = () => {
    about.again();
    close();
  };
  return (
    <>
      <Head title={id} lead="Account">
        <RangePicker span={span} />
        {account !== undefined && (
          <>
            <button type="button" class="primary" onClick={() => setDialog("top-up")}>Top up</button>
            <button type="button" onClick={() => setDialog("correction")}>Correct</button>
            <button type="button" onClick={() => setDialog("change")}>{account.closed ? "Open again" : "Change"}</button>
            {!account.closed && <button type="button" class="danger" onClick={() => setDialog("close")}>Close</button>}
          </>
        )}
      </Head>
      <With from={about} what="the account">
        {(value) => (
          <>
            <Balance account={value.account} />
            <OwnSpending by="account" name={id} id={id} span={span} />
            <div class="halves">
              <Panel title="Its keys" actions={<button type="button" onClick={keyDialogs.create}>Create a key</button>}>
                <KeyTable keys={value.keys.rows} cut={value.keys.cut} shared={value.shared} usage={value.usage} revoke={keyDialogs.revoke} create={keyDialogs.create} leave={["account", "tags", "limits", "created"]} />
              </Panel>
              <Panel title="Its budgets" actions={<NewBudget given={{ scope: "account", subject: id }} names={new Map()} changed={about.again} />}>
                <BudgetTable budgets={value.budgets.rows} cut={value.budgets.cut} names={new Map()} changed={about.again} empty="No budget bounds it. Its credit does, if it is prepaid." />
              </Panel>
            </div>
            <Entries id={id} stamp={value.account.posted_usd} />
          </>
        )}
      </With>
      {account !== undefined && <OwnExchanges by="account" id={id} span={span} />}
      {keyDialogs.dialog}
      {account !== undefined && (dialog === "top-up" || dialog === "correction") && <PostForm account={account} kind={dialog} close={close} done={done} />}
      {account !== undefined && dialog === "change" && <OpenForm account={account} close={close} done={done} />}
      {account !== undefined && dialog === "close" && <Closing account={account} close={close} done={done} />}
    </>
  );
}

function Balance({ account }: { account: Account }) {
  const room = roomOf(account);
  return (
    <dl class="balance">
      <div><dt>Balance</dt><dd><Money usd={account.posted_usd} decimals={2} /></dd><dd class="note">what its entries add up to</dd></div>
      <div><dt>Held</dt><dd><Money usd={account.held_usd} decimals={2} /></dd><dd class="note">set aside for what runs now</dd></div>
      <div><dt>Available</dt><dd><Money usd={account.available_usd} decimals={2} /></dd><dd class="note">balance less held</dd></div>
      {account.kind === "postpaid" && (
        <div><dt>May still spend</dt><dd>{room === null ? "no bound" : <Money nanos={room} decimals={2} />}</dd><dd class="note">{account.limit_usd === null ? "it has no limit" : <>down to <Money usd={account.limit_usd} /> below zero</>}</dd></div>
      )}
      <div><dt>Kind</dt><dd class="words">{account.kind} <AccountState account={account} /></dd></div>
    </dl>
  );
}

const COLUMNS: Column<Entry>[] = [
  { name: "serial", title: "No.", align: "end", rank: 2, sort: (row) => row.serial, csv: (row) => row.serial, cell: (row) => row.serial },
  { name: "at", title: "Time", head: true, sort: (row) => row.at, csv: (row) => row.at, cell: (row) => <When at={row.at} /> },
  { name: "kind", title: "Entry", sort: (row) => row.kind, csv: (row) => row.kind, cell: (row) => <Badge tone={row.kind === "top_up" ? "good" : row.kind === "overrun" || row.kind === "correction" ? "warn" : "plain"}>{ENTRY_KINDS[row.kind]}</Badge> },
  { name: "posted", title: "Balance", align: "end", sort: (row) => nanosOf(row.posted_usd), csv: (row) => row.posted_usd, cell: (row) => signed(row.posted_usd) },
  { name: "held", title: "Held", align: "end", rank: 2, sort: (row) => nanosOf(row.held_usd), csv: (row) => row.held_usd, cell: (row) => signed(row.held_usd) },
  { name: "hold", title: "Exchange", rank: 2, csv: (row) => row.hold_id, cell: (row) => (row.hold_id === null ? <span class="muted mono">{row.entry_id}</span> : <a class="mono" href={hrefOf("/exchanges", row.hold_id)}>{row.hold_id}</a>) },
  { name: "note", title: "Note", rank: 3, csv: (row) => row.note, cell: (row) => row.note },
];

function Entries({ id, stamp }: { id: string; stamp: string }) {
  const listed = usePages(`${id} ${stamp}`, (cursor, signal) => accounts.entries(id, { limit: 25, cursor }, signal));
  return (
    <Panel title="Entries of the ledger" hint="Newest first; none is ever changed or removed.">
      <Listed from={listed} what="entries" caption="Entries of the ledger" columns={COLUMNS} id={(row) => String(row.serial)} filter="Filter the loaded rows" csvName={`entries-${id}`} empty="There are no entries yet. Top it up with the button above." />
    </Panel>
  );
}
