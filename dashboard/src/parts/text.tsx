// Small pieces of text: money, counts, times and badges. What is shown short is whole in the title.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import type { Ending } from "../api/types.ts";
import { copied } from "../lib/clipboard.ts";
import { ENDINGS, type Tone } from "../lib/endings.ts";
import { brief, exact, fixed, nanosOf, type Nanos } from "../lib/money.ts";
import * as numbers from "../lib/numbers.ts";
import { ago, local, ofNanos, utc } from "../lib/time.ts";
import { priceless } from "../lib/totals.ts";
import { Icon } from "./icon.tsx";

interface MoneyProps {
  usd?: string | null | undefined;
  nanos?: Nanos | null;
  /** So many decimals, for columns whose points are to stand below each other; else as short as it may be. */
  decimals?: number;
}

/** An amount; an en dash where it is not known. */
export function Money({ usd, nanos = nanosOf(usd), decimals }: MoneyProps) {
  if (nanos === null) return <Unknown what="not known" />;
  return (
    <span class="number" title={exact(nanos)}>
      {decimals === undefined ? brief(nanos) : fixed(nanos, decimals)}
    </span>
  );
}

/** A sum of costs, of which `unpriced` exchanges have no price: unknown where none of it has one. */
export function Spent({ nanos, unpriced, decimals }: { nanos: Nanos | null; unpriced: number; decimals?: number }) {
  if (priceless(nanos, unpriced)) return <Unknown what="it has no price" />;
  return <Money nanos={nanos} {...(decimals === undefined ? {} : { decimals })} />;
}

export function Count({ value, short = false }: { value: number | null | undefined; short?: boolean }) {
  if (value === null || value === undefined) return <Unknown what="not known" />;
  return (
    <span class="number" title={short ? numbers.count(value) : undefined}>
      {short ? numbers.brief(value) : numbers.count(value)}
    </span>
  );
}

export function Unknown({ what }: { what: string }) {
  return (
    <span class="unknown" title={what}>
      <span aria-hidden="true">{numbers.UNKNOWN}</span>
      <span class="hidden">{what}</span>
    </span>
  );
}

/** A moment in the zone of whoever looks; in UTC on hover. */
export function When({ at, ns, seconds = true }: { at?: string | null | undefined; ns?: number; seconds?: boolean }) {
  if (ns === undefined && (at === null || at === undefined)) return <Unknown what="never" />;
  const moment = ns === undefined ? new Date(at as string) : ofNanos(ns);
  return (
    <time dateTime={moment.toISOString()} title={utc(moment)}>
      {local(moment, undefined, seconds)}
    </time>
  );
}

export function Ago({ at, now }: { at: string; now: Date }) {
  const moment = new Date(at);
  return (
    <time dateTime={moment.toISOString()} title={`${local(moment)} · ${utc(moment)}`}>
      {ago(moment, now)}
    </time>
  );
}

export function Badge({ tone = "plain", title, children }: { tone?: Tone; title?: string; children: ComponentChildren }) {
  return (
    <span class={`badge ${tone}`} title={title}>
      {children}
    </span>
  );
}

export function EndingBadge({ ending, why = null }: { ending: Ending; why?: string | null }) {
  const { name, tone, says } = ENDINGS[ending] ?? { name: ending, tone: "plain", says: ending };
  return (
    <Badge tone={tone} title={why ?? says}>
      {name}
    </Badge>
  );
}

export function Copy({ text, label }: { text: string; label: string }) {
  const [told, setTold] = useState<"" | "Copied" | "Mark it and copy it by hand">("");
  const copy = async (button: HTMLButtonElement) => {
    const done = await copied(text, button.parentElement ?? document.body);
    button.focus();
    setTold(done ? "Copied" : "Mark it and copy it by hand");
    if (done) setTimeout(() => setTold(""), 2_000);
  };
  return (
    <button type="button" class="quiet small" onClick={(event) => void copy(event.currentTarget)} aria-label={label} title={label}>
      <Icon name={told === "Copied" ? "check" : "copy"} size={14} />
      <span class={told === "Copied" ? "hidden" : ""} aria-live="polite">{told}</span>
    </button>
  );
}

/** A command to paste, with a button that copies it. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    <div class="code">
      <pre tabIndex={0} aria-label={label}>{text}</pre>
      <Copy text={text} label={`Copy: ${label}`} />
    </div>
  );
}
