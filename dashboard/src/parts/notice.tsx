// What stands in the place of data: it is on its way, it could not be had, there is none.

import type { ComponentChildren } from "preact";

import type { Loaded } from "../app/load.ts";
import { Icon } from "./icon.tsx";

export function Failure({ error, again }: { error: Error; again?: () => void }) {
  return (
    <div class="notice bad" role="alert">
      <Icon name="warn" />
      <p>{error.message}</p>
      {again !== undefined && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Waiting({ what }: { what: string }) {
  return (
    <div class="waiting" role="status">
      <span class="hidden">Loading {what}</span>
      <i /><i /><i />
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h3>{title}</h3>
      {children}
    </div>
  );
}

interface WithProps<T> {
  from: Loaded<T>;
  what: string;
  children: (value: T) => ComponentChildren;
}

/** What was loaded; or else how it stands. An error beside older data stands above it. */
export function With<T>({ from, what, children }: WithProps<T>) {
  return (
    <>
      {from.error !== null && <Failure error={from.error} again={from.again} />}
      {from.value !== null ? children(from.value) : from.error === null && <Waiting what={what} />}
    </>
  );
}
