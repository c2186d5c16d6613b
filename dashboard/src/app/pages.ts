// A list that comes page by page: what is loaded so far, and the way to more.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import type { Page } from "../api/types.ts";
import { noticed } from "./session.ts";

export interface Paged<T> {
  rows: T[];
  error: Error | null;
  busy: boolean;
  /** Nothing has come yet. */
  first: boolean;
  /** Asks for the next page; null where there is none. */
  more: (() => void) | null;
  /** Begins anew. */
  again: () => void;
}

interface Shown<T> {
  rows: T[];
  cursor: string | null;
  error: Error | null;
  busy: boolean;
  first: boolean;
}

type Load<T> = (cursor: string | null, signal: AbortSignal) => Promise<Page<T>>;

/** Another `key` is another list. */
export function usePages<T>(key: string, load: Load<T>): Paged<T> {
  const [turn, setTurn] = useState(0);
  const [shown, setShown] = useState<Shown<T>>({ rows: [], cursor: null, error: null, busy: true, first: true });
  const latest = useRef(load);
  latest.current = load;
  const leaving = useRef<AbortController | null>(null);

  const ask = useCallback((cursor: string | null, known: T[]) => {
    leaving.current?.abort();
    const own = new AbortController();
    leaving.current = own;
    setShown((before) => ({ ...before, busy: true, error: null }));
    latest.current(cursor, own.signal).then(
      (page) => {
        if (own.signal.aborted) return;
        setShown({ rows: [...known, ...page.data], cursor: page.next_cursor, error: null, busy: false, first: false });
      },
      (error: unknown) => {
        if (own.signal.aborted) return;
        noticed(error);
        const told = error instanceof Error ? error : new Error(String(error));
        setShown((before) => ({ ...before, error: told, busy: false }));
      },
    );
  }, []);

  useEffect(() => {
    ask(null, []);
    return () => leaving.current?.abort();
  }, [key, turn]);

  return {
    rows: shown.rows,
    error: shown.error,
    busy: shown.busy,
    first: shown.first,
    more: shown.cursor === null ? null : () => ask(shown.cursor, shown.rows),
    again: useCallback(() => setTurn((before) => before + 1), []),
  };
}
