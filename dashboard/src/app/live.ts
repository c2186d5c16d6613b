// What the gateway tells of itself as it happens: server-sent events, for as long as someone looks.

import { useEffect, useState } from "preact/hooks";

import { API, whyRefused } from "../api/http.ts";
import type { Exchange, LiveSnapshot } from "../api/types.ts";
import { noticed } from "./session.ts";

export type Link = "connecting" | "open" | "lost" | "paused";

export interface LiveState {
  link: Link;
  /** Why it is lost, where the gateway says so. */
  why: Error | null;
  snapshot: LiveSnapshot | null;
  /** The newest first. */
  ended: Exchange[];
  /** How many ended and were not shown, because there were too many. */
  skipped: number;
  /** Running exchanges and endings of the last minutes, one for each snapshot. */
  history: { at: number; running: number; ended: number; tokens: number }[];
}

const KEPT = 40;
const MINUTES = 180;
const RETRY_MS = 3_000;
const EVENTS = "/live/events";

const NOTHING: LiveState = { link: "connecting", why: null, snapshot: null, ended: [], skipped: 0, history: [] };

/** Paused while the page is hidden or `wanted` is false. */
export function useLive(wanted: boolean): LiveState {
  const [shown, setShown] = useState<LiveState>(NOTHING);
  const [visible, setVisible] = useState(!document.hidden);
  useEffect(() => {
    const changed = () => setVisible(!document.hidden);
    document.addEventListener("visibilitychange", changed);
    return () => document.removeEventListener("visibilitychange", changed);
  }, []);
  useEffect(() => {
    if (!wanted || !visible) {
      setShown((before) => ({ ...before, link: "paused" }));
      return;
    }
    return follow((change) => setShown(change));
  }, [wanted, visible]);
  return shown;
}

type Change = (change: (before: LiveState) => LiveState) => void;

function follow(change: Change): () => void {
  let source: EventSource | null = null;
  let retry = 0;
  let fresh: Exchange[] = [];
  let skipped = 0;
  let left = false;
  const open = () => {
    change((before) => ({ ...before, link: before.link === "lost" ? "lost" : "connecting" }));
    source = new EventSource(API + EVENTS);
    source.addEventListener("open", () => change((before) => ({ ...before, link: "open", why: null })));
    source.addEventListener("live", (event) => {
      const snapshot = JSON.parse(event.data as string) as LiveSnapshot;
      const [ended, more] = [fresh, skipped];
      [fresh, skipped] = [[], 0];
      change((before) => merged(before, snapshot, ended, more));
    });
    source.addEventListener("ended", (event) => {
      fresh = [JSON.parse(event.data as string) as Exchange, ...fresh].slice(0, 4 * KEPT);
    });
    source.addEventListener("skipped", (event) => {
      skipped += (JSON.parse(event.data as string) as { count: number }).count;
    });
    source.addEventListener("error", () => {
      change((before) => ({ ...before, link: "lost" }));
      if (source?.readyState !== EventSource.CLOSED) return; // it tries again by itself
      void whyRefused(EVENTS).then((why) => {
        if (left) return;
        noticed(why); // it may be the session that has ended
        change((before) => ({ ...before, why }));
        retry = window.setTimeout(open, RETRY_MS);
      });
    });
  };
  open();
  return () => {
    left = true;
    source?.close();
    clearTimeout(retry);
  };
}

function merged(before: LiveState, snapshot: LiveSnapshot, fresh: Exchange[], skipped: number): LiveState {
  const tokens = arrived(before.snapshot, snapshot);
  const point = { at: Date.parse(snapshot.at), running: snapshot.running, ended: fresh.length + skipped, tokens };
  return {
    link: "open",
    why: null,
    snapshot,
    ended: [...fresh, ...before.ended].slice(0, KEPT),
    skipped: before.skipped + skipped,
    history: [...before.history, point].slice(-MINUTES),
  };
}

/** Tokens a second between two snapshots, of what runs in both. */
export function arrived(earlier: LiveSnapshot | null, later: LiveSnapshot): number {
  if (earlier === null) return 0;
  const known = new Map(earlier.exchanges.map((own) => [own.exchange_id, own.output_tokens ?? 0]));
  const seconds = (Date.parse(later.at) - Date.parse(earlier.at)) / 1000;
  const more = later.exchanges.reduce((sum, own) => sum + Math.max(0, (own.output_tokens ?? 0) - (known.get(own.exchange_id) ?? 0)), 0);
  return seconds > 0 ? Math.round(more / seconds) : 0;
}
