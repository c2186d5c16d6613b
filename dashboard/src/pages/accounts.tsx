// All accounts, with what is on them.

import { useState } from "preact/hooks";

import { accounts, everything } from "../api/client.ts";
import type { Account } from "../api/types.ts";
import { useLoad } from "../app/load.ts";
import { hrefOf } from "../app/router.ts";
import { nanosOf } from "../lib/money.ts";
import { Icon } from "../parts/icon.tsx";
import { Empty, With } from "../parts/notice.tsx";
import { Head, Panel } from "../parts/panel.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Money } from "../parts/text.tsx";
import { AccountState, OpenForm, PostForm, roomOf } from "./account-parts.tsx";

export function AccountsPage() {
  const loaded = useLoad("accounts", (signal) => everything((paging) => accounts.list(paging, signal)));
  const [opening, setOpening] = useState(false);
  const [paying, setPaying] = useState<Account | null>(null);
  const done = () => {
    loaded.again();
    setOpening(false);
    setPaying(null);
  };
  return (
    <>
      <Head title="Accounts" lead="Owners of money: each key has one behind it.">
        <button type="button" class="primary" onClick={() => setOpening(true)}><Icon name="more" size={14} /> Open an account</button>
      </Head>
      <Panel title="Accounts">
        <With from={loaded} what="accounts">
          {(value) => <Accounts accounts={value.rows} cut={value.cut} pay={setPaying} open={() => setOpening(true)} />}
        </With>
      </Panel>
      {opening && <OpenForm close={() => setOpening(false)} done={done} />}
      {paying !== null && <PostForm account={paying} kind="top-up" close={() => setPaying(null)} done={done} />}
    </>
  );
}

function Room({ account }: { account: Account }) {
  const room = roomOf(account);
  return room === null ? <span class="muted">no bound</span> : <Money nanos={room} decimals={2} />;
}

function Accounts({ accounts: items, cut, pay, open }: { accounts: Account[]; cut: boolean; pay: (account: Account) => void; open: () => void }) {
  const columns: Column<Account>[] = [
    { name: "name", title: "Account", head: true, sort: (row) => row.account, csv: (row) => row.account, cell: (row) => <a href={hrefOf("/accounts", row.account)}>{row.account}</a> },
    { name: "state", title: "State", sort: (row) => row.closed, csv: (row) => (row.closed ? "closed" : "open"), cell: (row) => <AccountState account={row} /> },
    { name: "kind", title: "Kind", rank: 2, sort: (row) => row.kind, csv: (row) => row.kind, cell: (row) => row.kind },
    { name: "posted", title: "Balance", align: "end", sort: (row) => nanosOf(row.posted_usd), csv: (row) => row.posted_usd, cell: (row) => <Money usd={row.posted_usd} decimals={2} /> },
    { name: "held", title: "Held", rank: 2, align: "end", sort: (row) => nanosOf(row.held_usd), csv: (row) => row.held_usd, cell: (row) => <Money usd={row.held_usd} decimals={2} /> },
    { name: "limit", title: "Limit", rank: 3, align: "end", sort: (row) => nanosOf(row.limit_usd), csv: (row) => row.limit_usd, cell: (row) => (row.limit_usd === null ? <span class="muted">none</span> : <Money usd={row.limit_usd} decimals={2} />) },
    { name: "room", title: "May still spend", align: "end", sort: roomOf, csv: (row) => row.available_usd, cell: (row) => <Room account={row} /> },
    { name: "actions", title: "", cell: (row) => <button type="button" class="quiet small" aria-label={`Top up ${row.account}`} onClick={() => pay(row)}>Top up</button> },
  ];
  return (
    <Table
      caption="Accounts"
      columns={columns}
      rows={items}
      id={(row) => row.account}
      order={{ column: "name", direction: "ascending" }}
      {...(items.length > 8 ? { filter: "Filter accounts" } : {})}
      csvName="accounts"
      cut={cut}
      empty={
        <Empty title="There are no accounts yet">
          <p>An account owns money and stands behind keys. A prepaid one spends what was paid in and not a nano-dollar more.</p>
          <button type="button" class="primary" onClick={open}>Open an account</button>
        </Empty>
      }
    />
  );
}
