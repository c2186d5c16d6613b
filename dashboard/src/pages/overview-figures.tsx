// The big numbers, each with what it was before and a line of how it went, and one sentence that says it all.

import type { ComponentChildren } from "preact";

import type { Sums } from "../api/types.ts";
import { href } from "../app/router.ts";
import { nanosOf, pixels } from "../lib/money.ts";
import { change, changeText, plural, share } from "../lib/numbers.ts";
import { beforeText, spanParams, spanText } from "../lib/span.ts";
import { largest, type Tokens, tokensOf, tokensTotal, type Total } from "../lib/totals.ts";
import { Spark } from "../parts/gauge.tsx";
import { Count, Money, Spent } from "../parts/text.tsx";
import type { Overview } from "./overview.tsx";

interface Props {
  overview: Overview;
  total: Total;
  earlier: Total;
}

const WORDS = { model: "on", key: "by the key", provider: "through" } as const;

/** Who has most of the cost, by model, key and provider; where no one has, which model has the largest part. */
function most(overview: Overview, total: Total) {
  const parts = (["model", "key", "provider"] as const).flatMap((name) => {
    const top = largest(overview.by[name], name, total.cost);
    return top === null ? [] : [{ name, ...top }];
  });
  const above = parts.filter((part) => part.most);
  return above.length > 0 ? { opening: "Most of it", parts: above } : { opening: "The largest part of it", parts: parts.slice(0, 1) };
}

function compared(ratio: number): string {
  if (ratio === 0) return "as much as in";
  const text = changeText(ratio).replace(/^[+−×]/, "");
  return ratio >= 2 ? `${text} times as much as in` : `${ratio > 0 ? "up" : "down"} ${text} against`;
}

export function Sentence({ overview, total, earlier }: Props) {
  const params = spanParams(overview.span);
  const ratio = change(total.cost, earlier.cost);
  const { opening, parts } = most(overview, total);
  return (
    <p class="sentence">
      <Spent nanos={total.cost} unpriced={total.unpriced} /> spent in {spanText(overview.span)}
      {ratio !== null && <>, {compared(ratio)} {beforeText(overview.span)}</>}.
      {parts.length > 0 && ` ${opening} `}
      {parts.map(({ name, label, part }, at) => (
        <span key={name}>
          {at > 0 && (at === parts.length - 1 ? " and " : ", ")}
          {WORDS[name]} <a href={href("/exchanges", { ...params, [name]: label })}>{label}</a> ({part})
        </span>
      ))}
      {parts.length > 0 && "."}
      {total.unpriced > 0 && (
        <>
          {" "}<a href={href("/exchanges", { ...params, mark: "unpriced" })}>{plural(total.unpriced, "exchange")}</a> without a
          price {total.unpriced === 1 ? "is" : "are"} not, or not wholly, in it.
        </>
      )}
    </p>
  );
}

export function Figures({ overview, total, earlier }: Props) {
  const params = spanParams(overview.span);
  const rows = overview.series.groups[0]?.rows ?? [];
  const line = (of: (row: Sums) => number | null) => rows.map((row) => (row === null ? 0 : of(row)));
  const tokens = tokensTotal(total.tokens);
  return (
    <ul class="figures" aria-label="Sums of this stretch of time">
      <Figure
        name="Spend" to={href("/exchanges", params)} value={<Spent nanos={total.cost} unpriced={total.unpriced} />}
        ratio={change(total.cost, earlier.cost)} values={line((row) => pixels(nanosOf(row.cost_usd)))}
        note={total.charge === null ? "no account was charged" : <>accounts charged <Money nanos={total.charge} /></>}
      />
      <Figure
        name="Tokens" to={href("/exchanges", params)} value={<Count value={tokens} short />}
        ratio={change(tokens, tokensTotal(earlier.tokens))} values={line((row) => tokensTotal(tokensOf(row)))}
        note={<><Count value={input(total.tokens)} short /> in, <Count value={output(total.tokens)} short /> out</>}
      />
      <Figure
        name="Requests" to={href("/exchanges", params)} value={<Count value={total.exchanges} short />}
        ratio={change(total.exchanges, earlier.exchanges)} values={line((row) => row.exchanges)}
        note={<><Count value={total.cancelled} /> left by their clients</>}
      />
      <Figure
        name="Errors" to={href("/exchanges", { ...params, mark: "failed" })} value={share(total.errors, total.exchanges)}
        was={was(earlier.errors, earlier.exchanges)} worse={worse(total.errors, total.exchanges, earlier.errors, earlier.exchanges)}
        values={line((row) => row.errors)} note={<><Count value={total.errors} /> {total.errors === 1 ? "request" : "requests"}</>}
      />
      <Figure
        name="Unmetered" to={href("/exchanges", { ...params, mark: "unmetered" })}
        value={share(total.unmetered, total.exchanges)}
        was={was(earlier.unmetered, earlier.exchanges)}
        worse={worse(total.unmetered, total.exchanges, earlier.unmetered, earlier.exchanges)}
        values={line((row) => row.unmetered)} note={<><Count value={total.unmetered} /> with usage unknown</>}
      />
    </ul>
  );
}

function input(tokens: Tokens): number | null {
  return tokensTotal({ ...tokens, output: null, reasoning: null });
}

function output(tokens: Tokens): number | null {
  return tokensTotal({ ...tokens, fresh: null, cacheRead: null, cacheWrite: null });
}

/** What a share was before; null where there was nothing. */
function was(part: number, of: number): string | null {
  return of === 0 ? null : `was ${share(part, of)}`;
}

/** Whether a share has clearly risen (true) or fallen (false). */
function worse(part: number, of: number, earlier: number, earlierOf: number): boolean | null {
  if (of === 0 || earlierOf === 0) return null;
  const change = part / of - earlier / earlierOf;
  return Math.abs(change) < 0.005 ? null : change > 0;
}

interface FigureProps {
  name: string;
  to: string;
  value: ComponentChildren;
  /** Of change; or else what it was before. */
  ratio?: number | null;
  was?: string | null;
  worse?: boolean | null;
  values: (number | null)[];
  note: ComponentChildren;
}

function Figure({ name, to, value, ratio = null, was: earlier = null, worse: isWorse = null, values, note }: FigureProps) {
  const text = earlier ?? (ratio === null ? "" : Math.abs(ratio) < 0.0005 ? "±0 %" : changeText(ratio));
  const tone = isWorse === null ? "" : isWorse ? "worse" : "better";
  return (
    <li>
      <a href={to}>
        <span class="name">{name}</span>
        <span class="value">{value}</span>
        <span class={`change ${tone}`} title={text === "" ? undefined : "Against the stretch of the same length just before"}>{text}</span>
        <span class="note">{note}</span>
        <Spark values={values} />
      </a>
    </li>
  );
}
