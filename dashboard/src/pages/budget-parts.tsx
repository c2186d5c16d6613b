// Budgets: how full they are, and setting and removing them.

import { useState } from "preact/hooks";

import { budgets as operations } from "../api/client.ts";
import type { Budget, Scope, Window } from "../api/types.ts";
import { useDoing } from "../app/load.ts";
import { hrefOf } from "../app/router.ts";
import { nanosOf, typed } from "../lib/money.ts";
import { Confirm, Field, FormDialog } from "../parts/dialog.tsx";
import { Bar } from "../parts/gauge.tsx";
import { Icon } from "../parts/icon.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Badge, Money, When } from "../parts/text.tsx";

export const WINDOWS: Record<Window, string> = { day: "a day", week: "a week", month: "a month", total: "for good" };

/** Used and held, as parts of the limit. */
export function fullness(budget: Budget): { used: number; held: number } {
  const limit = nanosOf(budget.limit_usd) ?? 0n;
  const part = (usd: string) => (limit === 0n ? 1 : Number(((nanosOf(usd) ?? 0n) * 10_000n) / limit) / 10_000);
  return { used: part(budget.used_usd), held: part(budget.held_usd) };
}

export function Fullness({ budget }: { budget: Budget }) {
  const { used, held } = fullness(budget);
  const tone = used + held >= 1 ? "bad" : used + held >= 0.8 ? "warn" : "accent";
  return (
    <span class="fullness">
      <Bar part={used} also={held} tone={tone} />
      <span class="number">{(100 * used).toFixed(used < 0.1 ? 1 : 0)} %</span>
    </span>
  );
}

export function subjectOf(budget: Budget, names: ReadonlyMap<string, string>): string {
  return budget.scope === "key" ? (names.get(budget.subject) ?? budget.subject) : budget.subject;
}

function Subject({ budget, names }: { budget: Budget; names: ReadonlyMap<string, string> }) {
  const name = subjectOf(budget, names);
  if (budget.scope === "tag") return <span>{name}</span>;
  return <a href={hrefOf(budget.scope === "key" ? "/keys" : "/accounts", budget.subject)}>{name}</a>;
}

interface BudgetTableProps {
  budgets: Budget[];
  /** There are more. */
  cut?: boolean;
  /** Names of keys by their ids. */
  names: ReadonlyMap<string, string>;
  changed: () => void;
  empty: string;
}

export function BudgetTable({ budgets, cut = false, names, changed, empty }: BudgetTableProps) {
  const [editing, setEditing] = useState<Budget | null>(null);
  const [removing, setRemoving] = useState<Budget | null>(null);
  const columns: Column<Budget>[] = [
    { name: "subject", title: "Bounds", head: true, sort: (row) => subjectOf(row, names), csv: (row) => subjectOf(row, names), cell: (row) => <Subject budget={row} names={names} /> },
    { name: "scope", title: "Kind", rank: 3, sort: (row) => row.scope, csv: (row) => row.scope, cell: (row) => <Badge>{row.scope}</Badge> },
    { name: "window", title: "Window", sort: (row) => row.window, csv: (row) => row.window, cell: (row) => WINDOWS[row.window] },
    { name: "full", title: "Used", sort: (row) => fullness(row).used, first: "descending", csv: (row) => row.used_usd, cell: (row) => <Fullness budget={row} /> },
    { name: "spent", title: "Spent", rank: 2, align: "end", sort: (row) => nanosOf(row.used_usd), cell: (row) => <Money usd={row.used_usd} decimals={2} /> },
    { name: "held", title: "Held", rank: 3, align: "end", sort: (row) => nanosOf(row.held_usd), csv: (row) => row.held_usd, cell: (row) => <Money usd={row.held_usd} decimals={2} /> },
    { name: "limit", title: "Limit", align: "end", sort: (row) => nanosOf(row.limit_usd), csv: (row) => row.limit_usd, cell: (row) => <Money usd={row.limit_usd} decimals={2} /> },
    { name: "ends", title: "Begins anew", rank: 4, sort: (row) => row.ends_at, csv: (row) => row.ends_at, cell: (row) => (row.ends_at === null ? <span class="muted">never</span> : <When at={row.ends_at} seconds={false} />) },
    {
      name: "actions", title: "", cell: (row) => (
        <span class="row-actions">
          <button type="button" class="quiet small" onClick={() => setEditing(row)} aria-label={`Change the budget of ${subjectOf(row, names)}, ${WINDOWS[row.window]}`}>Change</button>
          <button type="button" class="quiet small" onClick={() => setRemoving(row)} aria-label={`Remove the budget of ${subjectOf(row, names)}, ${WINDOWS[row.window]}`}>Remove</button>
        </span>
      ),
    },
  ];
  return (
    <>
      <Table
        caption="Budgets"
        columns={columns}
        rows={budgets}
        id={(row) => `${row.scope}:${row.subject}:${row.window}`}
        order={{ column: "full", direction: "descending" }}
        {...(budgets.length > 8 ? { filter: "Filter budgets" } : {})}
        csvName="budgets"
        cut={cut}
        empty={empty}
      />
      {editing !== null && <BudgetForm given={editing} names={names} close={() => setEditing(null)} changed={changed} />}
      {removing !== null && <Removal budget={removing} names={names} close={() => setRemoving(null)} changed={changed} />}
    </>
  );
}

interface FormProps {
  /** What is already decided. */
  given: Partial<Budget>;
  names: ReadonlyMap<string, string>;
  close: () => void;
  changed: () => void;
}

export function NewBudget({ given, names, changed }: Omit<FormProps, "close">) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}><Icon name="more" size={14} /> Set a budget</button>
      {open && <BudgetForm given={given} names={names} changed={changed} close={() => setOpen(false)} />}
    </>
  );
}

export function BudgetForm({ given, names, close, changed }: FormProps) {
  const doing = useDoing();
  const [scope, setScope] = useState<Scope>(given.scope ?? "account");
  const fixed = given.subject !== undefined;
  const submit = (form: FormData) =>
    doing.run(async () => {
      const limit = typed(String(form.get("limit")));
      if (limit === null) throw new Error("The limit is an amount of dollars such as 25 or 12.50.");
      const subject = given.subject ?? String(form.get("subject")).trim();
      await operations.put(scope, subject, given.window ?? (String(form.get("window")) as Window), limit);
      changed();
      close();
    });
  return (
    <FormDialog title={given.limit_usd === undefined ? "Set a budget" : "Change a budget"} action="Set the budget" doing={doing} close={close} submit={submit}>
      {fixed ? (
        <p>Of the {scope} <strong>{scope === "key" ? (names.get(given.subject!) ?? given.subject) : given.subject}</strong></p>
      ) : (
        <div class="pair">
          <Field label="Of">
            <select value={scope} onChange={(event) => setScope(event.currentTarget.value as Scope)}>
              <option value="account">an account</option>
              <option value="key">a key</option>
              <option value="tag">a tag</option>
            </select>
          </Field>
          <Field label={scope === "key" ? "Key" : scope === "tag" ? "Tag" : "Account"}>
            {scope === "key" ? (
              <select name="subject" required>{[...names].map(([id, name]) => <option key={id} value={id}>{name}</option>)}</select>
            ) : (
              <input name="subject" required spellcheck={false} autocomplete="off" />
            )}
          </Field>
        </div>
      )}
      <div class="pair">
        <Field label="Dollars at most"><input name="limit" required inputMode="decimal" defaultValue={given.limit_usd ?? ""} autocomplete="off" /></Field>
        <Field label="In">
          <select name="window" disabled={given.window !== undefined}>
            {Object.entries(WINDOWS).map(([window, name]) => <option key={window} value={window} selected={window === (given.window ?? "month")}>{name}</option>)}
          </select>
        </Field>
      </div>
      <p class="hint">Windows are in UTC; weeks begin on Monday. What has been spent in the window counts.</p>
    </FormDialog>
  );
}

function Removal({ budget, names, close, changed }: { budget: Budget; names: ReadonlyMap<string, string>; close: () => void; changed: () => void }) {
  const doing = useDoing();
  const yes = () =>
    doing.run(async () => {
      await operations.remove(budget.scope, budget.subject, budget.window);
      changed();
      close();
    });
  return (
    <Confirm title="Remove a budget" action="Remove it" doing={doing} close={close} yes={yes}>
      <p>
        {subjectOf(budget, names)} will not be bound to <Money usd={budget.limit_usd} /> {WINDOWS[budget.window]} any more, as of the next request.
      </p>
    </Confirm>
  );
}
