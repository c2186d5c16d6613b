// From the first byte of the request to the settlement, to scale.

import type { Entry, Exchange } from "../api/types.ts";
import { exact, nanosOf } from "../lib/money.ts";
import { duration } from "../lib/time.ts";
import { Panel } from "../parts/panel.tsx";

interface Bar {
  name: string;
  from: number;
  to: number;
  tone: "hold" | "wait" | "stream" | "failed" | "settle";
  note: string;
}

/** What took how long, in nanoseconds from the beginning. */
export function barsOf(exchange: Exchange, settledAt: number | null): Bar[] {
  const { total_ns: total, first_byte_ns: first, attempts } = exchange;
  const bars: Bar[] = [];
  const began = attempts[0]?.started_ns ?? total;
  bars.push({ name: exchange.hold_usd === null ? "admitted" : "admitted, hold placed", from: 0, to: began, tone: "hold", note: duration(began) });
  attempts.forEach((attempt, at) => {
    const last = at === attempts.length - 1;
    const name = attempts.length > 1 ? `attempt ${at + 1} at ${attempt.provider}` : `asked ${attempt.provider}`;
    const charged = attempts.length > 1 && nanosOf(attempt.charge_usd) ? `, ${exact(nanosOf(attempt.charge_usd) ?? 0n)}` : "";
    const status = attempt.status === null ? "no answer" : `status ${attempt.status}`;
    const turn = last && first !== null ? Math.min(Math.max(first, attempt.started_ns), attempt.ended_ns) : attempt.ended_ns;
    const failed = attempt.error !== null || (attempt.status ?? 500) >= 400;
    bars.push({ name, from: attempt.started_ns, to: turn, tone: failed && !last ? "failed" : "wait", note: `${status}, ${duration(turn - attempt.started_ns)}${charged}${attempt.error === null || attempt.error === exchange.error ? "" : `: ${attempt.error}`}` });
    if (last && first !== null && turn < attempt.ended_ns) {
      bars.push({ name: exchange.streamed ? "streamed" : "answer passed on", from: turn, to: attempt.ended_ns, tone: failed ? "failed" : "stream", note: duration(attempt.ended_ns - turn) });
    }
  });
  const end = attempts.at(-1)?.ended_ns ?? total;
  const settled = Math.max(settledAt ?? total, total);
  if (settled > end) bars.push({ name: exchange.settled ?? "recorded", from: end, to: settled, tone: "settle", note: duration(settled - end) });
  return bars;
}

export function Timeline({ exchange, entries }: { exchange: Exchange; entries: Entry[] }) {
  const resolving = entries.filter((entry) => entry.kind !== "place" && entry.kind !== "overrun").sort((one, other) => other.serial - one.serial)[0];
  const settledAt = resolving === undefined ? null : Date.parse(resolving.at) * 1e6 - exchange.started_at_ns;
  const bars = barsOf(exchange, settledAt);
  const whole = Math.max(...bars.map((bar) => bar.to), 1);
  const speed = rate(exchange);
  return (
    <Panel
      title="How it went"
      hint={`${duration(exchange.total_ns)} in all, first byte after ${duration(exchange.first_byte_ns)}${speed === null ? "" : `, ${speed} tokens a second`}`}
    >
      <ol class="timeline">
        {bars.map((bar, at) => (
          <li key={at}>
            <span class="name">{bar.name}</span>
            <span class="track" aria-hidden="true">
              <i class={bar.tone} style={{ left: `${(100 * bar.from) / whole}%`, width: `max(3px, ${(100 * (bar.to - bar.from)) / whole}%)` }} />
            </span>
            <span class="note">{bar.note}</span>
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function rate(exchange: Exchange): string | null {
  const tokens = exchange.usage.output_tokens;
  if (tokens === null || exchange.first_byte_ns === null || !exchange.streamed) return null;
  const seconds = (exchange.total_ns - exchange.first_byte_ns) / 1e9;
  return seconds < 0.05 ? null : (tokens / seconds).toFixed(0);
}
