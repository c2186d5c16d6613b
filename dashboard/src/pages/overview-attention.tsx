// What an operator would want to be told without asking: peaks, budgets that are nearly full, accounts that are empty.

import type { ComponentChildren } from "preact";

import { accounts, budgets } from "../api/client.ts";
import type { Account, Budget, Series } from "../api/types.ts";
import { useLoad } from "../app/load.ts";
import { href, hrefOf } from "../app/router.ts";
import { nanosOf } from "../lib/money.ts";
import { type Peak, peaks } from "../lib/peak.ts";
import { stepSeconds } from "../lib/span.ts";
import { bucket, rfc } from "../lib/time.ts";
import { Icon } from "../parts/icon.tsx";
import { Money } from "../parts/text.tsx";
import { roomOf } from "./account-parts.tsx";
import { fullness, WINDOWS } from "./budget-parts.tsx";
import { exchangesOf } from "./overview-charts.tsx";

const FULL = 0.9;
const MOST = 3;

interface Item {
  key: string;
  told: ComponentChildren;
}

/** `stamp` is another one whenever the overview has been loaded anew. */
export function Attention({ series, stamp }: { series: Series; stamp: string }) {
  const loaded = useLoad(stamp, async (signal) => {
    const [bounds, owners] = await Promise.all([budgets.list({ limit: 500 }, signal), accounts.list({ limit: 500 }, signal)]);
    const unseen = [bounds.next_cursor !== null ? "budgets" : "", owners.next_cursor !== null ? "accounts" : ""].filter(Boolean);
    return { budgets: bounds.data, accounts: owners.data, unseen };
  });
  const found = loaded.value;
  const items = [
    ...most(peakItems(series), "stretches of time"),
    ...most(budgetItems(found?.budgets ?? []), "budgets", "/budgets"),
    ...most(accountItems(found?.accounts ?? []), "accounts", "/accounts"),
    ...(found?.unseen ?? []).map((what) => ({
      key: `unseen ${what}`, told: <>Only the first 500 {what} were looked at; all are on <a href={href(`/${what}`)}>their page</a>.</>,
    })),
  ];
  if (items.length === 0) return null;
  return (
    <section class="attention" aria-label="Worth a look">
      <Icon name="warn" />
      <ul>{items.map(({ key, told }) => <li key={key}>{told}</li>)}</ul>
    </section>
  );
}

/** The first few, and how many more there are. */
function most(items: Item[], what: string, page?: string): Item[] {
  if (items.length <= MOST) return items;
  const more = <>{items.length - MOST} more {what}</>;
  const told = <>And {page === undefined ? more : <a href={href(page)}>{more}</a>}, for the same reason.</>;
  return [...items.slice(0, MOST), { key: `more ${what}`, told }];
}

function peakItems(series: Series): Item[] {
  const costs = (series.groups[0]?.rows ?? []).map((row) => nanosOf(row?.cost_usd));
  return peaks(costs).map((peak) => ({ key: `peak ${peak.first}`, told: <Peaked series={series} peak={peak} /> }));
}

function Peaked({ series, peak }: { series: Series; peak: Peak }) {
  const end = new Date(Date.parse(series.starts[peak.last] ?? "") + stepSeconds(series.step) * 1000);
  const from = bucket(series.starts[peak.first] ?? "", series.step);
  const whole = series.step === "day" ? (peak.first === peak.last ? from : `${from} to ${bucket(series.starts[peak.last] ?? "", "day")}`) : `${from} to ${bucket(rfc(end), series.step).split(" ").at(-1)}`;
  return (
    <>
      <a href={exchangesOf(series, peak.first, peak.last)}>{whole}</a>: <Money nanos={peak.total} /> spent, where nine of ten {series.step}s stay below{" "}
      <Money nanos={peak.usual} />.
    </>
  );
}

function budgetItems(found: Budget[]): Item[] {
  return found
    .map((budget) => ({ budget, full: fullness(budget).used + fullness(budget).held }))
    .filter(({ full }) => full >= FULL)
    .sort((one, other) => other.full - one.full)
    .map(({ budget, full }) => ({
      key: `budget ${budget.scope} ${budget.subject} ${budget.window}`,
      told: (
        <>
          The <a href={href("/budgets")}>budget</a> of the {budget.scope} {budget.subject}, <Money usd={budget.limit_usd} /> {WINDOWS[budget.window]}, is{" "}
          {full >= 1 ? "used up: requests are refused" : `${Math.floor(full * 100)} % used`}.
        </>
      ),
    }));
}

function accountItems(found: Account[]): Item[] {
  return found
    .filter((account) => !account.closed && (roomOf(account) ?? 1n) <= 0n)
    .map((account) => ({
      key: `account ${account.account}`,
      told: <>The account <a href={hrefOf("/accounts", account.account)}>{account.account}</a> has nothing left to spend: its requests are refused.</>,
    }));
}
