// Which stretch of time a page is about, as its address says it: ?range=7d, or ?since=...&until=...

import type { Step } from "../api/types.ts";
import { rfc } from "./time.ts";

export const RANGES = ["1h", "24h", "7d", "30d", "90d"] as const;
export type Range = (typeof RANGES)[number];
export const DEFAULT_RANGE: Range = "7d";

const HOURS: Record<Range, number> = { "1h": 1, "24h": 24, "7d": 168, "30d": 720, "90d": 2160 };
const SECONDS: Record<Step, number> = { minute: 60, hour: 3600, day: 86_400 };

export const RANGE_NAMES: Record<Range, string> = {
  "1h": "1 hour", "24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days",
};

export interface Span {
  /** Null for a stretch of one's own. */
  range: Range | null;
  since: Date;
  /** Null is now: the stretch moves on. */
  until: Date | null;
  /** What its charts are drawn by. */
  step: Step;
}

export function stepSeconds(step: Step): number {
  return SECONDS[step];
}

/**
 * The stretch that an address names; `fallback` where it names none. It is made of whole steps, so that a chart's
 * columns add up to the sums beside it; but for lists, which show a stretch of one's own as it is.
 */
export function spanOf(query: URLSearchParams, now: Date, fallback: Range = DEFAULT_RANGE, list = false): Span {
  const since = moment(query.get("since"));
  const until = moment(query.get("until"));
  if (since !== null && (until === null || until > since)) {
    const step = stepFor(((until ?? now).getTime() - since.getTime()) / 3_600_000);
    if (list) return { range: null, since, until, step };
    return { range: null, since: floored(since, step), until: until === null ? null : raised(until, step), step };
  }
  const named = RANGES.find((range) => range === query.get("range")) ?? fallback;
  const step = stepFor(HOURS[named]);
  return { range: named, since: floored(new Date(now.getTime() - HOURS[named] * 3_600_000), step), until: null, step };
}

/** The stretch of the same length just before. */
export function before(span: Span, now: Date): { since: Date; until: Date } {
  const length = (span.until ?? now).getTime() - span.since.getTime();
  return { since: new Date(span.since.getTime() - length), until: span.since };
}

/** The parameters of a stretch, for a link to another page. */
export function spanParams(span: Span): Record<string, string> {
  if (span.range !== null) return { range: span.range };
  const until: Record<string, string> = span.until === null ? {} : { until: rfc(span.until) };
  return { since: rfc(span.since), ...until };
}

export function spanText(span: Span): string {
  return span.range === null ? "this stretch of time" : `the last ${RANGE_NAMES[span.range].replace(/^1 /, "")}`;
}

export function beforeText(span: Span): string {
  return span.range === null ? "the stretch before it" : `the ${RANGE_NAMES[span.range].replace(/^1 /, "")} before`;
}

function stepFor(hours: number): Step {
  return hours <= 3 ? "minute" : hours <= 200 ? "hour" : "day";
}

function floored(at: Date, step: Step): Date {
  const unit = SECONDS[step] * 1000;
  return new Date(Math.floor(at.getTime() / unit) * unit);
}

function raised(at: Date, step: Step): Date {
  const unit = SECONDS[step] * 1000;
  return new Date(Math.ceil(at.getTime() / unit) * unit);
}

function moment(text: string | null): Date | null {
  const at = new Date(text ?? "");
  return text === null || Number.isNaN(at.getTime()) ? null : at;
}
