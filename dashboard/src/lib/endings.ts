// What endings, marks and flags mean, in sentences.

import type { Ending, Exchange, Mark } from "../api/types.ts";

export type Tone = "good" | "warn" | "bad" | "plain";

export const ENDINGS: Record<Ending, { name: string; tone: Tone; says: string }> = {
  complete: { name: "complete", tone: "good", says: "The answer ended as its API says that a whole one ends." },
  incomplete: {
    name: "incomplete",
    tone: "warn",
    says: "The body ended cleanly, but without the evidence that its API owes at the end of a whole answer.",
  },
  refused: { name: "refused", tone: "bad", says: "The provider answered with an error before any output." },
  never_sent: {
    name: "never sent",
    tone: "bad",
    says: "Nothing reached a provider: the gateway refused, no connection could be made, or the client left first.",
  },
  client_left: { name: "client left", tone: "plain", says: "The client closed its connection before the end." },
  upstream_cut: {
    name: "upstream cut",
    tone: "bad",
    says: "The provider's connection broke, or it fell silent, before the end.",
  },
  upstream_error: {
    name: "upstream error",
    tone: "bad",
    says: "The provider told an error inside an answer that had begun.",
  },
  gateway_failed: { name: "gateway failed", tone: "bad", says: "A fault of the gateway's own, or it was stopped." },
  gateway_died: {
    name: "gateway died",
    tone: "bad",
    says: "The gateway's process ended before the exchange did; another one settled it.",
  },
};

export const MARKS: Record<Mark, { name: string; says: string }> = {
  failed: { name: "failed", says: "ended in an error, on either side" },
  cancelled: { name: "cancelled", says: "the client left before the end" },
  estimated: { name: "estimated", says: "their usage is, in part or whole, inferred from what was delivered" },
  unmetered: { name: "unmetered", says: "nobody knows what they used: no report, and nothing to estimate from" },
  unpriced: { name: "unpriced", says: "something they used has no known price, so the sums lack it" },
};

const BASES: Record<Exchange["basis"], string> = {
  reported: "The usage is the provider's own final report.",
  partial: "The usage is the provider's report up to where it broke off, or the estimate of what was delivered, whichever is more.",
  estimated: "The provider reported nothing: the usage is estimated from what was delivered.",
  none: "Nothing was reported, and nothing was delivered to estimate from.",
};

export function basisSays(exchange: Exchange): string {
  return BASES[exchange.basis];
}

export function settledSays(exchange: Exchange): string {
  switch (exchange.settled) {
    case "captured":
      return "The hold was captured: the account was charged.";
    case "voided":
      return "The hold was voided: the account was charged nothing.";
    case "expired":
      return "The hold expired: its gateway died before it had sent anything, and the account was charged nothing.";
    case "disputed":
      return "The hold had been resolved already, with another amount. Someone has to look at it.";
    case null:
      return "No account stands behind this exchange, so there was no hold.";
  }
}

/** A flag of a bill in words. */
export function flagSays(flag: string): string {
  const [name = "", rest = ""] = flag.split(/:(.*)/s);
  switch (name) {
    case "partial":
      return "the provider's report broke off, the charge rests on it and on what was delivered";
    case "estimated":
      return "the charge rests on an estimate";
    case "unmetered":
      return "nothing was reported and nothing could be estimated";
    case "overrun":
      return "the charge is above the hold";
    case "unpriced":
      return `no price is known for ${rest}`;
    case "priced_as":
      return `the served name has no price, so that of ${rest} was taken`;
    case "absurd":
      return "so large that it was taken for a fault and not charged";
    case "upstream_cut":
    case "upstream_error":
    case "gateway_failed":
      return "charged by the policy for answers that break off";
    default:
      return flag;
  }
}
