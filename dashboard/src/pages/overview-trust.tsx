// Can the numbers be trusted? Whether the books balance, what the sums rest on, and whether records are being kept.

import type { ComponentChildren } from "preact";

import type { Health } from "../api/types.ts";
import { href } from "../app/router.ts";
import { plural, share } from "../lib/numbers.ts";
import type { Total } from "../lib/totals.ts";
import { Pieces } from "../parts/gauge.tsx";
import { Icon, type IconName } from "../parts/icon.tsx";
import { Swatch } from "../parts/chart-panel.tsx";
import { Ago } from "../parts/text.tsx";

interface TrustProps {
  total: Total;
  health: Health | null;
  params: Record<string, string>;
}

export function Trust({ total, health, params }: TrustProps) {
  return (
    <section class="trust" aria-label="Can these numbers be trusted?">
      <Books health={health} />
      <Bases total={total} params={params} />
      <Keeping health={health} />
    </section>
  );
}

function Verdict({ tone, icon, children }: { tone: "good" | "warn" | "bad"; icon: IconName; children: ComponentChildren }) {
  return (
    <a class={`verdict ${tone}`} href={href("/health")}>
      <Icon name={icon} /> <span>{children}</span>
    </a>
  );
}

function Books({ health }: { health: Health | null }) {
  const books = health?.books;
  if (!books || books.checked_at === null) return <Verdict tone="warn" icon="warn"><b>Books not checked yet</b></Verdict>;
  const when = <small>checked <Ago at={books.checked_at} now={new Date()} /></small>;
  return books.balanced ? (
    <Verdict tone="good" icon="check"><b>Books balanced</b> {when}</Verdict>
  ) : (
    <Verdict tone="bad" icon="warn"><b>Books do not add up</b> {when}</Verdict>
  );
}

function Bases({ total, params }: { total: Total; params: Record<string, string> }) {
  const sure = Math.max(0, total.exchanges - total.estimated - total.unmetered);
  const link = (mark: "estimated" | "unmetered" | "unpriced") => href("/exchanges", { ...params, mark });
  return (
    <div class="bases">
      <Pieces
        parts={[
          { tint: "sure", part: sure },
          { tint: "guessed", part: total.estimated },
          { tint: "lost", part: total.unmetered },
        ]}
      />
      <ul>
        <li><Swatch tint="sure" /> <b>{share(sure, total.exchanges)}</b> as providers reported it</li>
        <li><Swatch tint="guessed" /> <a href={link("estimated")}><b>{share(total.estimated, total.exchanges)}</b> estimated</a></li>
        <li><Swatch tint="lost" /> <a href={link("unmetered")}><b>{share(total.unmetered, total.exchanges)}</b> unmetered</a></li>
        <li>
          <a href={link("unpriced")} title="Their cost, or a part of it, is not in the sums">
            <b>{share(total.unpriced, total.exchanges)}</b> without a price
          </a>
        </li>
      </ul>
    </div>
  );
}

function Keeping({ health }: { health: Health | null }) {
  if (health === null) return <Verdict tone="warn" icon="warn"><b>Health not known</b></Verdict>;
  const { accepting, backlog } = health.database;
  return accepting ? (
    <Verdict tone="good" icon="check">
      <b>Records are kept</b> <small>{backlog === 0 ? "nothing waits" : `${plural(backlog, "write")} waiting`}</small>
    </Verdict>
  ) : (
    <Verdict tone="bad" icon="warn">
      <b>Records cannot be kept</b> <small>new requests are refused; {plural(backlog, "write")} waiting</small>
    </Verdict>
  );
}
