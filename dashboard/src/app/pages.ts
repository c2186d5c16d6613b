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
  /** Which list it is of. */
  key: string;
  rows: T[];
  cursor: string | null;
  error: Error | null;
  busy: boolean;
  first: boolean;
}

type Load<T> = (cursor: string | null, signal: AbortSignal) => Promise<Page<T>>;

function nothing<T>(key: string): Shown<T> {
  return { key, rows: [], cursor: null, error: null, busy: true, first: true };
}

/** Another `key` is another list, of which nothing has come yet. */
export function usePages<T>(key: string, load: Load<T>): Paged<T> {
  const [turn, setTurn] = useState(0);
  const [latest, setShown] = useState<Shown<T>>(() => nothing(key));
  const shown = latest.key === key ? latest : nothing<T>(key);
  const loading = useRef(load);
  loading.current = load;
  const leaving = useRef<AbortController | null>(null);

  const ask = useCallback((cursor: string | null, known: T[]) => {
    leaving.current?.abort();
    const own = new AbortController();
    leaving.current = own;
    const changed = (change: Partial<Shown<T>>) =>
      setShown((before) => ({ ...(before.key === key ? before : nothing<T>(key)), ...change }));
    changed({ busy: true, error: null });
    loading.current(cursor, own.signal).then(
      (page) => {
        if (own.signal.aborted) return;
        changed({ rows: [...known, ...page.data], cursor: page.next_cursor, busy: false, first: false });
      },
      (error: unknown) => {
        if (own.signal.aborted) return;
        noticed(error);
        changed({ error: error instanceof Error ? error : new Error(String(error)), busy: false });
      },
    );
  }, [key]);

  useEffect(() => {
    ask(null, []);
    return () => leaving.current?.abort();
  }, [ask, turn]);

  return {
    rows: shown.rows,
    error: shown.error,
    busy: shown.busy,
    first: shown.first,
    more: shown.cursor === null ? null : () => ask(shown.cursor, shown.rows),
    again: useCallback(() => setTurn((before) => before + 1), []),
  };
}
