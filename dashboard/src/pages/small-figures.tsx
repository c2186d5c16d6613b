// The sums of one key or account, each leading to the exchanges behind it.

import type { ComponentChildren } from "preact";

import { href } from "../app/router.ts";
import { share } from "../lib/numbers.ts";
import { tokensTotal, type Total } from "../lib/totals.ts";
import { Count, Money, Spent } from "../parts/text.tsx";

export function SmallFigures({ total, filter, title }: { total: Total; filter: Record<string, string>; title: string }) {
  const figures: [string, string | null, ComponentChildren][] = [
    ["Spend", null, <Spent key="spend" nanos={total.exchanges === 0 ? 0n : total.cost} unpriced={total.unpriced} />],
    ["Charged", null, <Money key="charge" nanos={total.charge} />],
    ["Tokens", null, <Count key="tokens" value={tokensTotal(total.tokens)} short />],
    ["Requests", null, <Count key="requests" value={total.exchanges} />],
    ["Failed", "failed", total.exchanges === 0 ? "0" : share(total.errors, total.exchanges)],
    ["Estimated", "estimated", <Count key="estimated" value={total.estimated} />],
    ["Unmetered", "unmetered", <Count key="unmetered" value={total.unmetered} />],
    ["Unpriced", "unpriced", <Count key="unpriced" value={total.unpriced} />],
  ];
  return (
    <ul class="small-figures" aria-label={title}>
      {figures.map(([name, mark, value]) => (
        <li key={name}>
          <a href={href("/exchanges", { ...filter, mark })}>
            <span>{name}</span>
            <b>{value}</b>
          </a>
        </li>
      ))}
    </ul>
  );
}
