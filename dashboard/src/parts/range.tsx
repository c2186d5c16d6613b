// The picker of a stretch of time, which lives in the address.

import { useEffect, useRef, useState } from "preact/hooks";

import { setQuery } from "../app/router.ts";
import { RANGE_NAMES, RANGES, type Span } from "../lib/span.ts";
import { fromInput, local, rfc, toInput } from "../lib/time.ts";

export function RangePicker({ span }: { span: Span }) {
  const [open, setOpen] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const close = () => {
    setOpen(false);
    opener.current?.focus();
  };
  return (
    <div class="range" onKeyDown={(event) => event.key === "Escape" && open && close()}>
      <div class="segments" role="group" aria-label="Range of time">
        {RANGES.map((range) => (
          <button
            type="button"
            key={range}
            aria-pressed={span.range === range}
            title={`The last ${RANGE_NAMES[range]}`}
            onClick={() => {
              setOpen(false);
              setQuery({ range, since: null, until: null, cursor: null });
            }}
          >
            {range.replace("h", "\u00a0h").replace("d", "\u00a0d")}
          </button>
        ))}
        <button ref={opener} type="button" aria-pressed={span.range === null} aria-expanded={open} onClick={() => setOpen(!open)}>
          {span.range === null ? `${local(span.since, undefined, false)} – ${ending(span)}` : "Custom"}
        </button>
      </div>
      {open && <Custom span={span} close={close} />}
    </div>
  );
}

function ending(span: Span): string {
  return span.until === null ? "now" : local(span.until, undefined, false);
}

function Custom({ span, close }: { span: Span; close: () => void }) {
  const [wrong, setWrong] = useState(false);
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.focus(), []);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const since = fromInput(String(form.get("since")));
    const until = fromInput(String(form.get("until")));
    if (since === null || (until !== null && until <= since)) {
      setWrong(true);
      return;
    }
    setQuery({ since: rfc(since), until: until === null ? null : rfc(until), range: null });
    close();
  };
  return (
    <form class="popover" onSubmit={submit} aria-label="Range of one's own">
      <label>
        <span>From</span>
        <input ref={first} type="datetime-local" name="since" required defaultValue={toInput(span.since)} />
      </label>
      <label>
        <span>Until <span class="hint">(empty: now)</span></span>
        <input type="datetime-local" name="until" defaultValue={span.until === null ? "" : toInput(span.until)} />
      </label>
      {wrong && <p class="wrong" role="alert">The end has to come after the beginning.</p>}
      <div class="actions">
        <button type="submit" class="primary">Show</button>
        <button type="button" onClick={close}>Cancel</button>
      </div>
    </form>
  );
}
