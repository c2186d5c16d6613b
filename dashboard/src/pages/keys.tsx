// All virtual keys, with what each has spent.

import { useMemo } from "preact/hooks";

import { accounts, everything, keys, sums } from "../api/client.ts";
import type { Key, UsageRow } from "../api/types.ts";
import { useLoad } from "../app/load.ts";
import { hrefOf, query } from "../app/router.ts";
import { nanosOf } from "../lib/money.ts";
import { sharedNames } from "../lib/names.ts";
import { spanOf, spanText } from "../lib/span.ts";
import { rfc } from "../lib/time.ts";
import { Icon } from "../parts/icon.tsx";
import { Empty, With } from "../parts/notice.tsx";
import { Head, Panel } from "../parts/panel.tsx";
import { RangePicker } from "../parts/range.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Badge, Count, Spent, When } from "../parts/text.tsx";
import { KeyState, limitsText, useKeyDialogs } from "./key-parts.tsx";
import { stampOf } from "./own-spending.tsx";

export function KeysPage() {
  const span = spanOf(query.value, new Date(), "30d");
  const loaded = useLoad(stampOf(span), async (signal) => {
    const [found, known, usage] = await Promise.all([
      everything((paging) => keys.list(paging, signal)),
      everything((paging) => accounts.list(paging, signal)),
      sums.usage("key", rfc(span.since), span.until === null ? undefined : rfc(span.until), signal),
    ]);
    return { keys: found, accounts: known.rows.filter((account) => !account.closed).map((account) => account.account), usage: usage.rows };
  });
  const dialogs = useKeyDialogs(loaded.value?.accounts ?? [], loaded.again);
  return (
    <>
      <Head title="Keys" lead="Virtual keys: what clients send, each with an account that pays for it.">
        <RangePicker span={span} />
        <button type="button" class="primary" onClick={dialogs.create}><Icon name="more" size={14} /> Create a key</button>
      </Head>
      <Panel title="Keys" hint={`sums of ${spanText(span)}`}>
        <With from={loaded} what="keys">
          {(value) => <KeyTable keys={value.keys.rows} cut={value.keys.cut} shared={sharedNames(value.keys.rows)} usage={value.usage} revoke={dialogs.revoke} create={dialogs.create} />}
        </With>
      </Panel>
      {dialogs.dialog}
    </>
  );
}

interface KeyTableProps {
  keys: Key[];
  /** There are more. */
  cut: boolean;
  /** Names that several keys have: what they spent is one sum. */
  shared: ReadonlySet<string>;
  usage: UsageRow[];
  revoke: (key: Key) => void;
  create: () => void;
  leave?: readonly string[];
}

export function KeyTable({ keys: items, cut, shared, usage, revoke, create, leave = [] }: KeyTableProps) {
  const byName = useMemo(() => new Map(usage.map((row) => [row.key, row])), [usage]);
  const columns: Column<Key>[] = [
    { name: "name", title: "Name", head: true, sort: (row) => row.name, csv: (row) => row.name, cell: (row) => <a href={hrefOf("/keys", row.key_id)}>{row.name}</a> },
    { name: "state", title: "State", sort: (row) => row.good, csv: (row) => (row.good ? "good" : row.revoked_at === null ? "expired" : "revoked"), cell: (row) => <KeyState item={row} /> },
    { name: "account", title: "Account", rank: 2, sort: (row) => row.account, csv: (row) => row.account, cell: (row) => <a href={hrefOf("/accounts", row.account)}>{row.account}</a> },
    { name: "hint", title: "Begins with", rank: 4, csv: (row) => row.hint, cell: (row) => <span class="mono muted">{row.hint}…</span> },
    { name: "tags", title: "Tags", rank: 3, csv: (row) => row.tags.join(" "), cell: (row) => <span class="badges">{row.tags.map((tag) => <Badge key={tag}>{tag}</Badge>)}</span> },
    { name: "limits", title: "Limits", rank: 3, csv: (row) => limitsText(row.limits), cell: (row) => limitsText(row.limits) || <span class="muted">none</span> },
    { name: "spend", title: "Spend", align: "end", sort: (row) => nanosOf(byName.get(row.name)?.cost_usd), csv: (row) => byName.get(row.name)?.cost_usd, cell: (row) => <Spend row={byName.get(row.name)} shared={shared.has(row.name)} /> },
    { name: "requests", title: "Requests", rank: 2, align: "end", sort: (row) => byName.get(row.name)?.exchanges, csv: (row) => byName.get(row.name)?.exchanges, cell: (row) => <Count value={byName.get(row.name)?.exchanges ?? 0} /> },
    { name: "created", title: "Created", rank: 3, sort: (row) => row.created_at, csv: (row) => row.created_at, cell: (row) => <When at={row.created_at} seconds={false} /> },
    {
      name: "actions", title: "", cell: (row) =>
        row.revoked_at === null && (
          <button type="button" class="quiet small" onClick={() => revoke(row)} aria-label={`Revoke ${row.name}`}>Revoke</button>
        ),
    },
  ];
  return (
    <Table
      caption="Keys"
      columns={columns.filter((column) => !leave.includes(column.name))}
      rows={items}
      id={(row) => row.key_id}
      order={{ column: "spend", direction: "descending" }}
      {...(items.length > 8 ? { filter: "Filter keys" } : {})}
      csvName="keys"
      cut={cut}
      empty={
        <Empty title="There are no keys yet">
          <p>A key lets an application in, and says which account pays for it. Open an account first, if there is none.</p>
          <button type="button" class="primary" onClick={create}>Create a key</button>
        </Empty>
      }
    />
  );
}

function Spend({ row, shared }: { row: UsageRow | undefined; shared: boolean }) {
  if (row === undefined) return <span class="muted">nothing</span>;
  return (
    <>
      <Spent nanos={nanosOf(row.cost_usd)} unpriced={row.unpriced} decimals={2} />
      {shared && <span class="muted" title="Sums are by name, and several keys have this one"> in all</span>}
    </>
  );
}
