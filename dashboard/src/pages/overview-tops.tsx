// Who and what most of the spend is for.

import type { By, UsageRow } from "../api/types.ts";
import { href } from "../app/router.ts";
import { nanosOf } from "../lib/money.ts";
import { UNKNOWN } from "../lib/numbers.ts";
import { inOrder } from "../lib/order.ts";
import { partOf, priceless, type Total } from "../lib/totals.ts";
import { Bar } from "../parts/gauge.tsx";
import { Panel } from "../parts/panel.tsx";
import { Count, Spent } from "../parts/text.tsx";

const SHOWN = 7;
const TITLES: readonly (readonly [By, string])[] = [
  ["model", "Top models"], ["key", "Top keys"], ["provider", "Top providers"], ["account", "Top accounts"],
];

interface TopsProps {
  by: Record<By, UsageRow[]>;
  total: Total;
  params: Record<string, string>;
}

export function Tops({ by, total, params }: TopsProps) {
  return (
    <div class="tops">
      {TITLES.map(([name, title]) => (
        <Panel key={name} title={title}>
          <Top name={name} rows={by[name]} total={total} params={params} />
        </Panel>
      ))}
    </div>
  );
}

/** A few without a price are told above; here those that make a sum mean little. */
function telling(row: UsageRow): boolean {
  return row.unpriced > 0 && row.unpriced * 20 >= row.exchanges;
}

function Top({ name, rows, total, params }: { name: By; rows: UsageRow[]; total: Total; params: Record<string, string> }) {
  const sorted = inOrder(rows, (row) => nanosOf(row.cost_usd), "descending");
  const highest = nanosOf(sorted[0]?.cost_usd) ?? 0n;
  return (
    <ol class="top">
      {sorted.slice(0, SHOWN).map((row) => {
        const cost = nanosOf(row.cost_usd);
        const label = row[name] ?? null;
        return (
          <li key={label ?? ""}>
            <span class="label">
              {label === null ? <span class="muted">no {name}</span> : <a href={href("/exchanges", { ...params, [name]: label })}>{label}</a>}
            </span>
            <span class="amount"><Spent nanos={cost} unpriced={row.unpriced} /></span>
            <Bar part={highest === 0n || cost === null ? 0 : Number((cost * 10_000n) / highest) / 10_000} />
            <span class="note">
              {priceless(cost, row.unpriced) ? UNKNOWN : partOf(cost, total.cost)} · <Count value={row.exchanges} short /> requests
              {telling(row) && <> · <a href={href("/exchanges", { ...params, ...(label === null ? {} : { [name]: label }), mark: "unpriced" })}>{row.unpriced} unpriced</a></>}
              {row.errors > 0 && <> · <a href={href("/exchanges", { ...params, ...(label === null ? {} : { [name]: label }), mark: "failed" })}>{row.errors} failed</a></>}
            </span>
          </li>
        );
      })}
      {sorted.length > SHOWN && <li class="note">and {sorted.length - SHOWN} more</li>}
    </ol>
  );
}
