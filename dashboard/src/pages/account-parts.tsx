// Opening and closing accounts, paying in, putting right.

import { useMemo, useState } from "preact/hooks";

import { accounts as operations } from "../api/client.ts";
import type { Account } from "../api/types.ts";
import { useDoing } from "../app/load.ts";
import { nanosOf, typed } from "../lib/money.ts";
import { Confirm, Field, FormDialog } from "../parts/dialog.tsx";
import { Badge, Money } from "../parts/text.tsx";

export function AccountState({ account }: { account: Account }) {
  if (account.closed) return <Badge tone="bad">closed</Badge>;
  const low = account.kind === "prepaid" && (nanosOf(account.available_usd) ?? 0n) <= 0n;
  return low ? <Badge tone="warn">empty</Badge> : <Badge tone="good">open</Badge>;
}

/** What may still be spent; null for a postpaid account without a limit, which may always. */
export function roomOf(account: Account): bigint | null {
  const available = nanosOf(account.available_usd) ?? 0n;
  if (account.kind === "prepaid") return available;
  const limit = nanosOf(account.limit_usd);
  return limit === null ? null : available + limit;
}

const plain = { spellcheck: false, autocomplete: "off" } as const;

interface ActProps {
  close: () => void;
  done: () => void;
}

export function OpenForm({ account, close, done }: ActProps & { account?: Account }) {
  const doing = useDoing();
  const [kind, setKind] = useState(account?.kind ?? "prepaid");
  const submit = (form: FormData) =>
    doing.run(async () => {
      const name = account?.account ?? String(form.get("name")).trim();
      const text = String(form.get("limit") ?? "").trim();
      const limit = text === "" ? null : typed(text);
      if (text !== "" && limit === null) throw new Error("The limit is an amount of dollars such as 100, or nothing.");
      await operations.open(name, kind === "prepaid" ? { kind } : { kind, limit_usd: limit });
      done();
    });
  return (
    <FormDialog title={account === undefined ? "Open an account" : `Change ${account.account}`} action={account?.closed === true ? "Open it again" : "Save"} doing={doing} close={close} submit={submit}>
      {account === undefined && <Field label="Name"><input name="name" required {...plain} /></Field>}
      <fieldset>
        <legend>It is</legend>
        <label class="choice"><input type="radio" name="kind" checked={kind === "prepaid"} onChange={() => setKind("prepaid")} /> prepaid: spends what was paid in</label>
        <label class="choice"><input type="radio" name="kind" checked={kind === "postpaid"} onChange={() => setKind("postpaid")} /> postpaid: spends first and is invoiced</label>
      </fieldset>
      {kind === "postpaid" && (
        <Field label="Limit in dollars" hint="How far below zero it may go; empty: no bound.">
          <input name="limit" inputMode="decimal" defaultValue={account?.limit_usd ?? ""} {...plain} />
        </Field>
      )}
    </FormDialog>
  );
}

/** Money in, or a balance put right. One dialog is one posting, however often its button is pressed. */
export function PostForm({ account, kind, close, done }: ActProps & { account: Account; kind: "top-up" | "correction" }) {
  const doing = useDoing();
  const id = useMemo(() => `dashboard-${crypto.getRandomValues(new Uint32Array(3)).join("-")}`, []);
  const submit = (form: FormData) =>
    doing.run(async () => {
      const amount = typed(String(form.get("amount")));
      if (amount === null) throw new Error("The amount is one of dollars, such as 25 or 12.50.");
      const note = String(form.get("note")).trim();
      await (kind === "top-up" ? operations.topUp : operations.correct)(account.account, amount, note, id);
      done();
    });
  const title = kind === "top-up" ? `Top up ${account.account}` : `Correct ${account.account}`;
  return (
    <FormDialog title={title} action={kind === "top-up" ? "Pay in" : "Correct it"} doing={doing} close={close} submit={submit}>
      <p>Its balance is <Money usd={account.posted_usd} />.</p>
      <Field label="Dollars" {...(kind === "correction" ? { hint: "With a minus to take away." } : {})}>
        <input name="amount" required inputMode="decimal" autocomplete="off" />
      </Field>
      <Field label="Note" hint={kind === "correction" ? "Why: it stays in the ledger." : "Where it comes from, e.g. an invoice."}>
        <input name="note" required={kind === "correction"} maxLength={500} {...plain} />
      </Field>
      <p class="hint">Entries are never changed or removed. Pressing the button twice posts it once (Idempotency-Key {id}).</p>
    </FormDialog>
  );
}

export function Closing({ account, close, done }: ActProps & { account: Account }) {
  const doing = useDoing();
  const yes = () =>
    doing.run(async () => {
      await operations.close(account.account);
      done();
    });
  return (
    <Confirm title={`Close ${account.account}?`} action="Close it" doing={doing} close={close} yes={yes}>
      <p>Requests with its keys are refused from now on. What runs is settled, its balance of <Money usd={account.posted_usd} /> stays, and it can be opened again.</p>
    </Confirm>
  );
}
