// Hooks that load: what is asked again when its key changes, keeps what it had meanwhile, and can be retried.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { noticed } from "./session.ts";

export interface Loaded<T> {
  value: T | null;
  error: Error | null;
  loading: boolean;
  /** When the value came. */
  at: Date | null;
  /** Ask again; what is shown stays until the answer is there. */
  again: () => void;
}

/** `key` says what is asked for: another one is another question. */
export function useLoad<T>(key: string, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [turn, setTurn] = useState(0);
  const [shown, setShown] = useState<Omit<Loaded<T>, "again">>({ value: null, error: null, loading: true, at: null });
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    const leaving = new AbortController();
    setShown((before) => ({ ...before, loading: true }));
    latest.current(leaving.signal).then(
      (value) => {
        if (!leaving.signal.aborted) setShown({ value, error: null, loading: false, at: new Date() });
      },
      (error: unknown) => {
        if (leaving.signal.aborted) return;
        noticed(error);
        const told = error instanceof Error ? error : new Error(String(error));
        setShown((before) => ({ ...before, error: told, loading: false }));
      },
    );
    return () => leaving.abort();
  }, [key, turn]);
  const again = useCallback(() => setTurn((before) => before + 1), []);
  return { ...shown, again };
}

/** Do something every so many seconds, but not while nobody looks. */
export function useEvery(seconds: number, what: () => void, active = true): void {
  const latest = useRef(what);
  latest.current = what;
  useEffect(() => {
    if (!active) return;
    let last = Date.now();
    const tick = () => {
      if (document.hidden || Date.now() - last < seconds * 1000 - 50) return;
      last = Date.now();
      latest.current();
    };
    const timer = setInterval(tick, seconds * 1000);
    document.addEventListener("visibilitychange", tick);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", tick);
    };
  }, [seconds, active]);
}

/** A moment that moves on every so many seconds. */
export function useNow(seconds: number): Date {
  const [now, setNow] = useState(() => new Date());
  useEvery(seconds, () => setNow(new Date()));
  return now;
}

export interface Doing {
  busy: boolean;
  error: Error | null;
  run: (what: () => Promise<void>) => void;
  clear: () => void;
}

/** One change at a time, and what came of it. */
export function useDoing(): Doing {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const run = useCallback((what: () => Promise<void>) => {
    setBusy(true);
    setError(null);
    what()
      .catch((raised: unknown) => {
        noticed(raised);
        setError(raised instanceof Error ? raised : new Error(String(raised)));
      })
      .finally(() => setBusy(false));
  }, []);
  return { busy, error, run, clear: useCallback(() => setError(null), []) };
}
