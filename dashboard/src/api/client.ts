// The operations of the admin API that the dashboard uses, one function each.

import { ask, ApiError } from "./http.ts";
import type {
  Account, Budget, By, CreatedKey, Deed, Entry, Exchange, ExchangeFilter, Finding, Heading, Health, Hold, Key, LiveSnapshot,
  Model, NewKey, Page, Posting, Provider, Scope, Series, Session, Step, Transcript, Usage, Window,
} from "./types.ts";

type Signal = AbortSignal | undefined;
type Paging = { limit?: number; cursor?: string | null };

const part = encodeURIComponent;

/** Null where something is not there, instead of an error. */
export async function orNull<T>(asking: Promise<T>): Promise<T | null> {
  try {
    return await asking;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

export const session = {
  read: () => ask<Session>("/session"),
  open: (key: string) => ask<Session>("/session", { method: "POST", body: { key } }),
  close: () => ask<void>("/session", { method: "DELETE" }),
};

export interface SeriesQuery {
  by?: By | undefined;
  step: Step;
  since: string;
  until?: string | undefined;
  top?: number;
  name?: string | undefined;
}

export const sums = {
  series: (query: SeriesQuery, signal?: Signal) => ask<Series>("/series", { params: { ...query }, signal }),
  usage: (by: By, since: string, until: string | undefined, signal?: Signal) =>
    ask<Usage>("/usage", { params: { by, since, until }, signal }),
};

export const exchanges = {
  list: (filter: ExchangeFilter, paging: Paging, signal?: Signal) =>
    ask<Page<Exchange>>("/records", { params: { ...filter, ...paging }, signal }),
  get: (id: string, signal?: Signal) => ask<Exchange>(`/records/${part(id)}`, { signal }),
  transcript: (id: string, signal?: Signal) => orNull(ask<Transcript>(`/records/${part(id)}/transcript`, { signal })),
};

export const holds = {
  open: (paging: Paging, signal?: Signal) => ask<Page<Hold>>("/holds", { params: paging, signal }),
  get: (id: string, signal?: Signal) => orNull(ask<Hold>(`/holds/${part(id)}`, { signal })),
  entries: (id: string, signal?: Signal) => ask<Page<Entry>>(`/holds/${part(id)}/entries`, { signal }),
};

export const accounts = {
  list: (paging: Paging = {}, signal?: Signal) => ask<Page<Account>>("/accounts", { params: paging, signal }),
  get: (name: string, signal?: Signal) => ask<Account>(`/accounts/${part(name)}`, { signal }),
  open: (name: string, terms: { kind: "prepaid" } | { kind: "postpaid"; limit_usd: string | null }) =>
    ask<Account>(`/accounts/${part(name)}`, { method: "PUT", body: terms }),
  close: (name: string) => ask<Account>(`/accounts/${part(name)}/close`, { method: "POST" }),
  topUp: (name: string, amount_usd: string, note: string, id: string) => post(name, "top-ups", amount_usd, note, id),
  correct: (name: string, amount_usd: string, note: string, id: string) =>
    post(name, "corrections", amount_usd, note, id),
  entries: (name: string, paging: Paging, signal?: Signal) =>
    ask<Page<Entry>>(`/accounts/${part(name)}/entries`, { params: paging, signal }),
};

function post(name: string, kind: string, amount_usd: string, note: string, id: string): Promise<Posting> {
  const headers = { "idempotency-key": id };
  return ask<Posting>(`/accounts/${part(name)}/${kind}`, { method: "POST", body: { amount_usd, note }, headers });
}

export const keys = {
  list: (paging: Paging & { account?: string } = {}, signal?: Signal) =>
    ask<Page<Key>>("/keys", { params: paging, signal }),
  get: (id: string, signal?: Signal) => ask<Key>(`/keys/${part(id)}`, { signal }),
  create: (terms: NewKey) => ask<CreatedKey>("/keys", { method: "POST", body: terms }),
  change: (id: string, terms: Partial<NewKey>) => ask<Key>(`/keys/${part(id)}`, { method: "PATCH", body: terms }),
  revoke: (id: string) => ask<Key>(`/keys/${part(id)}/revoke`, { method: "POST" }),
  budgets: (id: string, signal?: Signal) => ask<{ data: Budget[] }>(`/keys/${part(id)}/budgets`, { signal }),
};

export const budgets = {
  list: (query: Paging & { scope?: Scope; subject?: string } = {}, signal?: Signal) =>
    ask<Page<Budget>>("/budgets", { params: query, signal }),
  put: (scope: Scope, subject: string, window: Window, limit_usd: string) =>
    ask<Budget>(`/budgets/${scope}/${part(subject)}/${window}`, { method: "PUT", body: { limit_usd } }),
  remove: (scope: Scope, subject: string, window: Window) =>
    ask<void>(`/budgets/${scope}/${part(subject)}/${window}`, { method: "DELETE" }),
};

export const gateway = {
  live: (signal?: Signal) => ask<LiveSnapshot>("/live", { signal }),
  health: (signal?: Signal) => ask<Health>("/health", { signal }),
  check: (signal?: Signal) => ask<{ data: Finding[] }>("/check", { signal }),
  providers: (signal?: Signal) => ask<{ data: Provider[] }>("/providers", { signal }),
  models: (search: string, paging: Paging, signal?: Signal) =>
    ask<Page<Model>>("/models", { params: { search, ...paging }, signal }),
};

export interface DeedFilter {
  since?: string | undefined;
  until?: string | undefined;
  actor?: string | undefined;
  action?: string | undefined;
  subject?: string | undefined;
  text?: string | undefined;
}

export const audit = {
  list: (filter: DeedFilter, paging: Paging, signal?: Signal) =>
    ask<Page<Deed>>("/audit", { params: { ...filter, ...paging }, signal }),
};

export interface HeadingFilter {
  since?: string | undefined;
  until?: string | undefined;
  key?: string | undefined;
  text?: string | undefined;
}

export const transcripts = {
  list: (filter: HeadingFilter, paging: Paging, signal?: Signal) =>
    ask<Page<Heading>>("/transcripts", { params: { ...filter, ...paging }, signal }),
};

/** All of a list; or else its beginning, and that it is cut. */
export interface Whole<T> {
  rows: T[];
  cut: boolean;
}

/** All pages of a list, up to a bound that keeps the page usable. */
export async function everything<T>(page: (paging: Paging) => Promise<Page<T>>, most = 5_000): Promise<Whole<T>> {
  const found: T[] = [];
  let cursor: string | null = null;
  do {
    const next: Page<T> = await page({ limit: 500, cursor });
    found.push(...next.data);
    cursor = next.next_cursor;
  } while (cursor !== null && found.length < most);
  return { rows: found, cut: cursor !== null };
}
