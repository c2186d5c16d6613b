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

/** Who is signed in, when the page is loaded or someone asks again. */
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

/** Raises ApiError where the gateway could not be told: then the session goes on. */
export async function signOut(): Promise<void> {
  try {
    await operations.close();
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
  }
  state.value = { is: "out", expired: false };
}

/**
 * To be called with whatever an operation raised: an end of the session leads back to the door. Nothing else does: a
 * page stays where it is while the gateway does not answer.
 */
export function noticed(error: unknown): void {
  if (error instanceof ApiError && error.status === 401 && state.value.is === "in") {
    state.value = { is: "out", expired: true };
  }
}
