// One key: what it may do, what binds it, what it spent.

import { accounts, everything, keys } from "../api/client.ts";
import type { Key } from "../api/types.ts";
import { useLoad } from "../app/load.ts";
import { hrefOf, query } from "../app/router.ts";
import { spanOf } from "../lib/span.ts";
import { With } from "../parts/notice.tsx";
import { Head, Panel } from "../parts/panel.tsx";
import { RangePicker } from "../parts/range.tsx";
import { Badge, When } from "../parts/text.tsx";
import { BudgetTable, NewBudget } from "./budget-parts.tsx";
import { KeyState, limitsText, useKeyDialogs } from "./key-parts.tsx";
import { OwnExchanges, OwnSpending } from "./own-spending.tsx";

export function KeyPage({ id }: { id: string }) {
  const span = spanOf(query.value, new Date(), "30d");
  const about = useLoad(id, async (signal) => {
    const [key, budgets, known, all] = await Promise.all([
      keys.get(id, signal),
      keys.budgets(id, signal),
      everything((paging) => accounts.list(paging, signal)),
      everything((paging) => keys.list(paging, signal)),
    ]);
    const namesakes = all.rows.filter((other) => other.name === key.name && other.key_id !== id);
    return { key, namesakes, budgets: budgets.data, accounts: known.rows.map((account) => account.account) };
  });
  const key = about.value?.key;
  const dialogs = useKeyDialogs(about.value?.accounts ?? [], about.again);
  return (
    <>
      <Head title={key?.name ?? "Key"} lead={<span class="mono">{id}</span>}>
        <RangePicker span={span} />
        {key !== undefined && key.revoked_at === null && (
          <>
            <button type="button" onClick={() => dialogs.change(key)}>Change</button>
            <button type="button" class="danger" onClick={() => dialogs.revoke(key)}>Revoke</button>
          </>
        )}
      </Head>
      <With from={about} what="the key">
        {(value) => (
          <>
            <div class="halves">
              <Terms item={value.key} />
              <Panel title="Budgets that bind it" actions={<NewBudget given={{ scope: "key", subject: id }} names={new Map([[id, value.key.name]])} changed={about.again} />}>
                <BudgetTable budgets={value.budgets} names={new Map([[id, value.key.name]])} changed={about.again} empty="No budget binds it: not its own, its account's or its tags'." />
              </Panel>
            </div>
            {value.namesakes.length > 0 && <Namesakes items={value.namesakes} />}
            <OwnSpending by="key" name={value.key.name} id={id} span={span} />
          </>
        )}
      </With>
      {key !== undefined && <OwnExchanges by="key" id={id} span={span} />}
      {dialogs.dialog}
    </>
  );
}

/** Sums are by name: what is told of one key's spending is that of all that have its name. */
function Namesakes({ items }: { items: Key[] }) {
  return (
    <div class="notice" role="note">
      <p>
        Other keys have had this name: {items.map((item, at) => (
          <span key={item.key_id}>{at > 0 && ", "}<a class="mono" href={hrefOf("/keys", item.key_id)}>{item.key_id}</a></span>
        ))}. The sums and charts here are of all of them; the list of exchanges is of this one alone.
      </p>
    </div>
  );
}

function Terms({ item }: { item: Key }) {
  const list = (values: string[], none: string) =>
    values.length === 0 ? <span class="muted">{none}</span> : <span class="badges">{values.map((value) => <Badge key={value}>{value}</Badge>)}</span>;
  const facts: [string, preact.ComponentChildren][] = [
    ["State", <KeyState key="state" item={item} />],
    ["Account", <a key="account" href={hrefOf("/accounts", item.account)}>{item.account}</a>],
    ["Begins with", <span key="hint" class="mono">{item.hint}…</span>],
    ["Owner", item.owner || <span class="muted">not said</span>],
    ["Tags", list(item.tags, "none")],
    ["Models", list(item.models, "all")],
    ["Providers", list(item.providers, "all")],
    ["Limits", limitsText(item.limits) || <span class="muted">none</span>],
    ["Created", <When key="created" at={item.created_at} />],
    ["Expires", item.expires_at === null ? <span class="muted">never</span> : <When at={item.expires_at} />],
    ...(item.revoked_at === null ? [] : [["Revoked", <When key="revoked" at={item.revoked_at} />] as [string, preact.ComponentChildren]]),
  ];
  return (
    <Panel title="What it may do">
      <dl class="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
    </Panel>
  );
}
