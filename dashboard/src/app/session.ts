// Who is signed in. The session itself is a cookie that no script can read; this is what the gateway says of it.

import { signal } from "@preact/signals";

import { session as operations } from "../api/client.ts";
import { ApiError } from "../api/http.ts";
import type { Session } from "../api/types.ts";
import { visits } from "./router.ts";

export type State =
  | { is: "unknown" }
  | { is: "out"; expired: boolean }
  | { is: "off" }
  | { is: "unreachable"; why: string }
  | { is: "in"; session: Session };

export const state = signal<State>({ is: "unknown" });

export async function look(): Promise<void> {
  try {
    state.value = { is: "in", session: await operations.read() };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) state.value = { is: "out", expired: false };
    else if (error.status === 404) state.value = { is: "off" };
    else state.value = { is: "unreachable", why: error.message };
  }
}

/** Raises ApiError. */
export async function signIn(key: string): Promise<void> {
  state.value = { is: "in", session: await operations.open(key) };
  visits.value += 1; // the focus goes to the page's heading
}

export async function signOut(): Promise<void> {
  await operations.close().catch(() => undefined);
  state.value = { is: "out", expired: false };
}

/** To be called with whatever an operation raised: an end of the session leads back to the door. */
export function noticed(error: unknown): void {
  if (error instanceof ApiError && error.status === 401 && state.value.is === "in") {
    state.value = { is: "out", expired: true };
  }
}
