// Making, changing and revoking a key.

import { useState } from "preact/hooks";

import { keys as operations } from "../api/client.ts";
import type { CreatedKey, Key, Limits, NewKey } from "../api/types.ts";
import { useDoing } from "../app/load.ts";
import { count, typedCount } from "../lib/numbers.ts";
import { fromInput, rfc, toInput } from "../lib/time.ts";
import { Confirm, Dialog, Field, FormDialog } from "../parts/dialog.tsx";
import { Badge, Code } from "../parts/text.tsx";

export const LIMITS: readonly (readonly [keyof Limits, string, string])[] = [
  ["requests_per_minute", "Requests a minute", "requests/min"],
  ["requests_per_day", "Requests a day", "requests/day"],
  ["tokens_per_minute", "Tokens a minute", "tokens/min"],
  ["tokens_per_day", "Tokens a day", "tokens/day"],
  ["concurrent", "Requests under way", "at once"],
];

export function limitsText(limits: Limits): string {
  return LIMITS.filter(([name]) => limits[name] !== null).map(([name, , unit]) => `${count(limits[name])} ${unit}`).join(", ");
}

export function KeyState({ item }: { item: Key }) {
  if (item.good) return <Badge tone="good">good</Badge>;
  return item.revoked_at === null ? <Badge tone="warn">expired</Badge> : <Badge tone="bad">revoked</Badge>;
}

function words(text: FormDataEntryValue | null): string[] {
  return String(text ?? "").split(/[\s,]+/).filter((word) => word !== "");
}

/** Raises Error where a field is not what it should be. */
function termsOf(form: FormData): Omit<NewKey, "expires_at"> {
  const limits = Object.fromEntries(LIMITS.map(([name, label]) => {
    const text = String(form.get(name) ?? "").trim();
    const limit = typedCount(text);
    if (text !== "" && limit === null) throw new Error(`${label}: expected a whole number above 0, or nothing.`);
    return [name, limit];
  })) as unknown as Limits;
  return {
    name: String(form.get("name")).trim(),
    account: String(form.get("account")).trim(),
    owner: String(form.get("owner") ?? "").trim(),
    tags: words(form.get("tags")),
    models: words(form.get("models")),
    providers: words(form.get("providers")),
    limits,
  };
}

/** An expiry as the form shows it: to the minute, so only a changed one is told to the gateway. */
function expiryOf(item: Key | undefined): string {
  return item?.expires_at == null ? "" : toInput(new Date(item.expires_at));
}

interface TermsFormProps {
  /** The key to be changed; a new one without it. */
  item?: Key;
  accounts: string[];
  account?: string;
  close: () => void;
  done: (key: Key | CreatedKey) => void;
}

export function TermsForm({ item, accounts, account, close, done }: TermsFormProps) {
  const doing = useDoing();
  const submit = (form: FormData) =>
    doing.run(async () => {
      const terms = termsOf(form);
      const typed = String(form.get("expires") ?? "");
      const expires = fromInput(typed);
      const expiry = { expires_at: expires === null ? null : rfc(expires) };
      if (item === undefined) done(await operations.create({ ...terms, ...expiry }));
      else done(await operations.change(item.key_id, { ...terms, ...(typed === expiryOf(item) ? {} : expiry) }));
    });
  const plain = { spellcheck: false, autocomplete: "off" } as const;
  return (
    <FormDialog title={item === undefined ? "Create a key" : `Change ${item.name}`} action={item === undefined ? "Create the key" : "Save"} doing={doing} close={close} submit={submit}>
      <div class="pair">
        <Field label="Name"><input name="name" required defaultValue={item?.name ?? ""} {...plain} /></Field>
        <Field label="Account that pays">
          <input name="account" required list="accounts" defaultValue={item?.account ?? account ?? (accounts.length === 1 ? accounts[0] : "")} {...plain} />
          <datalist id="accounts">{accounts.map((name) => <option key={name} value={name} />)}</datalist>
        </Field>
      </div>
      <div class="pair">
        <Field label="Owner" hint="A note: who has it."><input name="owner" defaultValue={item?.owner ?? ""} {...plain} /></Field>
        <Field label="Tags" hint="Budgets can bound a tag."><input name="tags" defaultValue={item?.tags.join(" ") ?? ""} {...plain} /></Field>
      </div>
      <div class="pair">
        <Field label="Models" hint="Patterns such as gpt-*; empty: all."><input name="models" defaultValue={item?.models.join(" ") ?? ""} {...plain} /></Field>
        <Field label="Providers" hint="Empty: all."><input name="providers" defaultValue={item?.providers.join(" ") ?? ""} {...plain} /></Field>
      </div>
      <fieldset>
        <legend>Limits (empty: none)</legend>
        <div class="limits">
          {LIMITS.map(([name, label]) => (
            <Field key={name} label={label}><input name={name} inputMode="numeric" defaultValue={item?.limits[name] ?? ""} {...plain} /></Field>
          ))}
        </div>
      </fieldset>
      <Field label="Expires" hint="Empty: never.">
        <input name="expires" type="datetime-local" defaultValue={expiryOf(item)} />
      </Field>
    </FormDialog>
  );
}

/** The text of a new key, which is seen this once. */
export function Created({ item, close }: { item: CreatedKey; close: () => void }) {
  const curl = `curl ${location.origin}/v1/chat/completions \\
  -H "Authorization: Bearer ${item.key}" -H "Content-Type: application/json" \\
  -d '{"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}'`;
  return (
    <Dialog title={`The key ${item.name}`} close={close} stays>
      <div class="body">
        <p class="notice warn">Copy it now: it is shown this once. What is kept of it is a digest.</p>
        <Code text={item.key} label="the new key" />
        <p>Try it:</p>
        <Code text={curl} label="a request with the new key" />
      </div>
      <div class="actions">
        <button type="button" class="primary" onClick={close}>I have it</button>
      </div>
    </Dialog>
  );
}

export function Revoking({ item, close, done }: { item: Key; close: () => void; done: () => void }) {
  const doing = useDoing();
  const yes = () =>
    doing.run(async () => {
      await operations.revoke(item.key_id);
      done();
    });
  return (
    <Confirm title={`Revoke ${item.name}?`} action="Revoke it for good" doing={doing} close={close} yes={yes}>
      <p>
        <span class="mono">{item.hint}…</span> will open nothing any more, as of the next request, in every gateway on this database. That cannot
        be taken back. What is under way is settled as ever.
      </p>
    </Confirm>
  );
}

/** What is done to keys from a page: the state of the dialogs, and the dialogs. */
export function useKeyDialogs(accounts: string[], changed: () => void, account?: string) {
  const [open, setOpen] = useState<{ is: "create" } | { is: "change" | "revoke"; key: Key } | { is: "created"; key: CreatedKey } | null>(null);
  const close = () => setOpen(null);
  const done = (key: Key | CreatedKey) => {
    changed();
    setOpen("key" in key ? { is: "created", key } : null);
  };
  const dialog = open === null ? null : open.is === "create" ? (
    <TermsForm accounts={accounts} close={close} done={done} {...(account === undefined ? {} : { account })} />
  ) : open.is === "created" ? (
    <Created item={open.key} close={close} />
  ) : open.is === "change" ? (
    <TermsForm item={open.key} accounts={accounts} close={close} done={done} />
  ) : (
    <Revoking item={open.key} close={close} done={() => { changed(); close(); }} />
  );
  return {
    dialog,
    create: () => setOpen({ is: "create" }),
    change: (key: Key) => setOpen({ is: "change", key }),
    revoke: (key: Key) => setOpen({ is: "revoke", key }),
  };
}
