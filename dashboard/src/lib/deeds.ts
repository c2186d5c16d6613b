// What came of a deed.

import type { Tone } from "./endings.ts";

export interface Outcome {
  name: string;
  tone: Tone;
  says?: string;
}

/** By its status, as in HTTP; null is one whose end was not told. */
export function outcomeOf(status: number | null): Outcome {
  if (status === null) return { name: "not told", tone: "warn", says: "It is under way, or nobody lived to tell how it ended" };
  if (status < 400) return { name: "done", tone: "good" };
  if (status < 500) return { name: `refused, ${status}`, tone: "bad" };
  return { name: `failed, may be done, ${status}`, tone: "bad", says: "It went wrong on the way: look whether it was done before it is done again" };
}
