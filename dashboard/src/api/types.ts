// What the admin API answers, field by field. Null is unknown, never 0. Amounts of money come as integer nano-dollars
// and as exact decimal dollars; only the latter is read here, since a large integer loses digits in a JavaScript number.

import type { Attempt } from "./attempt.ts";

export interface Session {
  name: string;
  expires_at: string;
}

export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

export type By = "model" | "provider" | "key" | "account";
export type Step = "minute" | "hour" | "day";
export type Mark = "failed" | "cancelled" | "estimated" | "unmetered" | "unpriced";

export interface Sums {
  exchanges: number;
  errors: number;
  cancelled: number;
  estimated: number;
  unmetered: number;
  unpriced: number;
  input_tokens: number | null;
  cache_read_tokens: number | null;
  cache_write_tokens: number | null;
  output_tokens: number | null;
  reasoning_tokens: number | null;
  estimated_input_tokens: number | null;
  estimated_output_tokens: number | null;
  cost_usd: string | null;
  charge_usd: string | null;
}

export interface UsageRow extends Sums {
  model?: string | null;
  provider?: string | null;
  key?: string | null;
  account?: string | null;
}

export interface Usage {
  by: By;
  rows: UsageRow[];
}

export interface SeriesGroup {
  name: string | null;
  others: boolean;
  rows: (Sums | null)[];
}

export interface Series {
  by: By | null;
  step: Step;
  since: string;
  until: string;
  starts: string[];
  groups: SeriesGroup[];
}

export type Ending =
  | "never_sent"
  | "refused"
  | "complete"
  | "incomplete"
  | "client_left"
  | "upstream_cut"
  | "upstream_error"
  | "gateway_failed"
  | "gateway_died";

export type Basis = "reported" | "partial" | "estimated" | "none";

export interface PriceLine {
  unit: string;
  quantity: string;
  dollars: string;
  per: number;
  leg: string | null;
}

export interface Counts {
  input_tokens: number | null;
  cache_read_tokens: number | null;
  cache_read_audio_tokens?: number | null;
  cache_read_image_tokens?: number | null;
  cache_write_tokens: number | null;
  cache_write_tokens_by_ttl: Record<string, number> | null;
  input_audio_tokens: number | null;
  input_image_tokens: number | null;
  output_tokens: number | null;
  reasoning_tokens: number | null;
  output_audio_tokens: number | null;
  output_image_tokens: number | null;
  tool_calls: Record<string, number> | null;
  billed_units: Record<string, number> | null;
  reported_cost_usd: string | null;
  legs: { kind: string; model: string | null; usage: Counts }[];
}

export interface Exchange {
  exchange_id: string;
  started_at_ns: number;
  method: string;
  path: string;
  dialect: string | null;
  operation: string | null;
  provider: string | null;
  key: string | null;
  key_id: string | null;
  model_asked: string | null;
  streamed: boolean;
  status: number;
  ending: Ending;
  billable: boolean;
  counted: boolean;
  first_byte_ns: number | null;
  total_ns: number;
  bytes_in: number;
  bytes_out: number;
  attempts: Attempt[];
  error: string | null;
  account: string | null;
  hold_usd: string | null;
  cost_usd: string | null;
  charge_usd: string | null;
  settled: "captured" | "voided" | "expired" | "disputed" | null;
  price_source: string | null;
  price_version: string | null;
  lines: PriceLine[];
  flags: string[];
  basis: Basis;
  usage: Counts;
  estimate: { input_tokens: number | null; output_tokens: number | null } | null;
  served_model: string | null;
  response_id: string | null;
  service_tier: string | null;
  terms?: Record<string, string>;
  finish_reason: string | null;
  terminal_evidence: string | null;
  in_stream_error: string | null;
  delivered_bytes: number;
  anomalies: Record<string, number>;
}

export interface Account {
  account: string;
  kind: "prepaid" | "postpaid";
  closed: boolean;
  limit_usd: string | null;
  posted_usd: string;
  held_usd: string;
  available_usd: string;
}

export interface Posting {
  entry_id: string;
  repeated: boolean;
  account: Account;
}

export interface Entry {
  serial: number;
  entry_id: string;
  account: string;
  kind: "top_up" | "correction" | "place" | "capture" | "overrun" | "void" | "expire";
  posted_usd: string;
  held_usd: string;
  at: string;
  hold_id: string | null;
  note: string;
}

export interface Hold {
  hold_id: string;
  account: string;
  state: "open" | "captured" | "voided" | "expired";
  sent: boolean;
  node: string;
  placed_at: string;
  amount_usd: string;
  checkpoint_usd: string | null;
  resolved_usd: string | null;
}

export interface Finding {
  account: string;
  verdict: "right" | "wrong";
  posted_usd: string;
  entries_posted_usd: string;
  held_usd: string;
  entries_held_usd: string;
  open_holds_usd: string;
}

export interface Limits {
  requests_per_minute: number | null;
  requests_per_day: number | null;
  tokens_per_minute: number | null;
  tokens_per_day: number | null;
  concurrent: number | null;
}

export interface Key {
  key_id: string;
  name: string;
  account: string;
  hint: string;
  good: boolean;
  owner: string;
  tags: string[];
  models: string[];
  providers: string[];
  limits: Limits;
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
}

export interface CreatedKey extends Key {
  key: string;
}

export interface NewKey {
  name: string;
  account: string;
  owner: string;
  tags: string[];
  models: string[];
  providers: string[];
  expires_at: string | null;
  limits: Limits;
}

export type Scope = "key" | "account" | "tag";
export type Window = "day" | "week" | "month" | "total";

export interface Budget {
  scope: Scope;
  subject: string;
  window: Window;
  ends_at: string | null;
  limit_usd: string;
  used_usd: string;
  held_usd: string;
  left_usd: string;
}

export interface Rate {
  unit: string;
  usd: string;
  per: number;
  above_input_tokens: number | null;
  when: Record<string, string>;
}

export interface Price {
  provider: string;
  model: string;
  source: string;
  version: string;
  context_window: number | null;
  rates: Rate[];
  multiples: { when: Record<string, string>; by: string }[];
}

export interface Model {
  model: string;
  provider: string;
  prices: Price | null;
}

export interface Provider {
  name: string;
  provider: string;
  title: string;
  base_url: string;
  dialects: string[];
  websocket: boolean;
  client_keys: boolean;
  has_credential: boolean;
  /** Models that aliases do not ask there for now. */
  cooling: { model: string; seconds: number }[];
  on_client_gone: string;
  self_hosted: boolean;
}

export interface LiveExchange {
  exchange_id: string;
  started_at: string;
  elapsed_ms: number;
  key: string | null;
  key_id: string | null;
  account: string | null;
  model: string | null;
  provider: string | null;
  dialect: string | null;
  operation: string | null;
  streamed: boolean;
  phase: "waiting" | "streaming";
  delivered_bytes: number;
  input_tokens: number | null;
  output_tokens: number | null;
  estimated: boolean;
  hold_usd: string | null;
  spent_usd: string | null;
}

export interface LiveSnapshot {
  at: string;
  node: string;
  running: number;
  exchanges: LiveExchange[];
}

export interface Health {
  version: string;
  node: string;
  started_at: string;
  uptime_seconds: number;
  running: number;
  /** Those who look at the live view. */
  onlookers: number;
  database: { kind: string; accepting: boolean; backlog: number };
  open_holds: number | null;
  price_book: { version: string; source: string | null; source_version: string | null; overrides: number };
  books: {
    checked_at: string | null;
    took_ms: number | null;
    /** Null before the first check. */
    balanced: boolean | null;
    accounts: number | null;
    wrong: string[];
  };
  since_start: { exchanges: number; disputed: number; orphans: number; faults: number; flags: Record<string, number> };
  python: string;
}

export interface Deed {
  serial: number;
  at: string;
  actor: string;
  action: string;
  subject: string;
  /** Null: under way, or nobody lived to tell how it ended. */
  status: number | null;
  detail: Record<string, unknown>;
}

export interface Body {
  text: string | null;
  bytes: number;
  kept_bytes: number;
  truncated: boolean;
}

export interface Transcript {
  exchange_id: string;
  at: string;
  key: string | null;
  request: Body;
  response: Body;
}

/** A transcript without its texts. */
export interface Heading {
  exchange_id: string;
  at: string;
  key: string | null;
  key_id: string | null;
  dialect: string | null;
  operation: string | null;
  path: string;
  request_bytes: number;
  response_bytes: number;
}

export interface ExchangeFilter {
  since?: string | undefined;
  until?: string | undefined;
  key?: string | undefined;
  account?: string | undefined;
  model?: string | undefined;
  provider?: string | undefined;
  ending?: string | undefined;
  mark?: string | undefined;
}
