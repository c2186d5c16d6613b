// What was used, by kind: what the provider said, and what was estimated where it said nothing.

import type { Counts, Exchange } from "../api/types.ts";
import { basisSays } from "../lib/endings.ts";
import { Panel } from "../parts/panel.tsx";
import { Badge, Count, Unknown } from "../parts/text.tsx";

interface Row {
  name: string;
  part?: boolean;
  value: number | null;
  guess?: number | null;
}

const PARTS: readonly (readonly [keyof Counts, string, string])[] = [
  ["cache_read_tokens", "from a cache", "input_tokens"],
  ["cache_write_tokens", "into a cache", "input_tokens"],
  ["input_audio_tokens", "audio", "input_tokens"],
  ["input_image_tokens", "pictures", "input_tokens"],
  ["reasoning_tokens", "reasoning", "output_tokens"],
  ["output_audio_tokens", "audio", "output_tokens"],
  ["output_image_tokens", "pictures", "output_tokens"],
];

function rowsOf(usage: Counts, estimate: Exchange["estimate"]): Row[] {
  const parts = (of: string): Row[] =>
    PARTS.filter(([name, , whole]) => whole === of && typeof usage[name] === "number").map(([name, label]) => ({
      name: label, part: true, value: usage[name] as number,
    }));
  const named = (what: Record<string, number> | null, label: string): Row[] =>
    Object.entries(what ?? {}).map(([name, value]) => ({ name: `${label}: ${name}`, value }));
  return [
    { name: "Input tokens", value: usage.input_tokens, guess: estimate?.input_tokens ?? null },
    ...parts("input_tokens"),
    { name: "Output tokens", value: usage.output_tokens, guess: estimate?.output_tokens ?? null },
    ...parts("output_tokens"),
    ...named(usage.tool_calls, "Calls of"),
    ...named(usage.billed_units, "Billed"),
  ];
}

const BASIS_TONE = { reported: "good", partial: "warn", estimated: "warn", none: "bad" } as const;

export function UsagePanel({ exchange }: { exchange: Exchange }) {
  const rows = rowsOf(exchange.usage, exchange.estimate);
  const legs = exchange.usage.legs.flatMap((leg) =>
    rowsOf(leg.usage, null).filter((row) => row.value !== null).map((row) => ({ ...row, name: `${leg.kind}${leg.model === null ? "" : ` (${leg.model})`}: ${row.name.toLowerCase()}` })),
  );
  const odd = Object.entries(exchange.anomalies);
  return (
    <Panel title="Usage" actions={<Badge tone={BASIS_TONE[exchange.basis]} title={basisSays(exchange)}>{exchange.basis === "none" ? "unmetered" : exchange.basis}</Badge>}>
      <div class="scroll" role="region" aria-label="Usage by kind" tabIndex={0}>
        <table>
          <caption class="hidden">Usage by kind</caption>
          <thead>
            <tr>
              <th scope="col">Kind</th>
              <th scope="col" class="end">Reported</th>
              <th scope="col" class="end">Estimated</th>
            </tr>
          </thead>
          <tbody>
            {[...rows, ...legs].map((row) => (
              <tr key={row.name}>
                <th scope="row" class={row.part === true ? "part" : ""}>{row.part === true ? `of it ${row.name}` : row.name}</th>
                <td class="end"><Count value={row.value} /></td>
                <td class="end">{row.guess === undefined ? "" : row.guess === null ? <Unknown what="not needed" /> : <>≈ <Count value={row.guess} /></>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {odd.length > 0 && (
        <p class="odd">
          Oddities in the answer: {odd.map(([name, times]) => <Badge key={name} tone="warn">{name}{times > 1 ? ` ×${times}` : ""}</Badge>)}
        </p>
      )}
    </Panel>
  );
}
