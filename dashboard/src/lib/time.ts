// Times as text: in the zone of whoever looks, with UTC at hand. Durations from nanoseconds and milliseconds.

import type { Step } from "../api/types.ts";

const clock: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const day: Intl.DateTimeFormatOptions = { day: "numeric", month: "short" };

/** "21 Nov 17:04:33"; with the year where it is not this one. */
export function local(at: Date, now = new Date(), seconds = true): string {
  const year: Intl.DateTimeFormatOptions = at.getFullYear() === now.getFullYear() ? {} : { year: "numeric" };
  const date = at.toLocaleDateString("en-GB", { ...day, ...year });
  const time = at.toLocaleTimeString("en-GB", seconds ? { ...clock, second: "2-digit" } : clock);
  return `${date} ${time}`;
}

/** "2026-11-21 17:04:33.123 UTC". */
export function utc(at: Date): string {
  return `${at.toISOString().replace("T", " ").replace("Z", "")} UTC`;
}

/** The start of a bucket. Days are days in UTC, whatever the zone. */
export function bucket(start: string, step: Step): string {
  const at = new Date(start);
  if (step === "day") return at.toLocaleDateString("en-GB", { ...day, weekday: "short", timeZone: "UTC" });
  return local(at, undefined, false);
}

/** "2 min ago", "in 3 h". */
export function ago(at: Date, now: Date): string {
  const seconds = Math.round((now.getTime() - at.getTime()) / 1000);
  const size = Math.abs(seconds);
  if (size < 5) return "just now";
  const text = lasting(size);
  return seconds < 0 ? `in ${text}` : `${text} ago`;
}

/** "45 s", "12 min", "3 h", "5 days". */
export function lasting(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** "850 µs", "1.20 s" of nanoseconds. */
export function duration(ns: number | null): string {
  if (ns === null) return "–";
  if (ns < 1e6) return `${Math.round(ns / 1e3)} µs`;
  if (ns < 1e9) return `${(ns / 1e6).toFixed(ns < 1e7 ? 1 : 0)} ms`;
  if (ns < 60e9) return `${(ns / 1e9).toFixed(ns < 1e10 ? 2 : 1)} s`;
  const seconds = Math.round(ns / 1e9);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** A moment of nanoseconds since the epoch; to the millisecond, which is all that is shown. */
export function ofNanos(ns: number): Date {
  return new Date(ns / 1e6);
}

/** RFC 3339 as the API takes it, to the second. */
export function rfc(at: Date): string {
  return at.toISOString().replace(/\.\d+Z$/, "Z");
}

/** What `<input type="datetime-local">` shows, and back. */
export function toInput(at: Date): string {
  const shifted = new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}

export function fromInput(text: string): Date | null {
  const at = new Date(text);
  return text === "" || Number.isNaN(at.getTime()) ? null : at;
}
