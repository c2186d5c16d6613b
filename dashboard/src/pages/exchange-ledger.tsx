// The ledger's own entries for the holds of an exchange, one for each attempt, and that they add up to the charge.

import type { Entry, Exchange, Hold } from "../api/types.ts";
import { hrefOf } from "../app/router.ts";
import { exact, fixed, nanosOf, sumOf } from "../lib/money.ts";
import { Panel } from "../parts/panel.tsx";
import { Badge, When } from "../parts/text.tsx";
import { Agrees } from "./exchange-bill.tsx";

export const ENTRY_KINDS: Record<Entry["kind"], string> = {
  top_up: "top-up",
  correction: "correction",
  place: "hold placed",
  capture: "captured",
  overrun: "overrun",
  void: "voided",
  expire: "expired",
};

export function Ledger({ exchange, hold, entries }: { exchange: Exchange; hold: Hold | null; entries: Entry[] }) {
  if (exchange.account === null || hold === null) {
    return (
      <Panel title="What the ledger says">
        <p class="muted">
          {exchange.account === null ? "No account stands behind this exchange: the ledger knows nothing of it." : "There is no hold of this exchange."}
        </p>
      </Panel>
    );
  }
  const inTime = [...entries].sort((one, other) => one.serial - other.serial);
  const posted = sumOf(inTime.map((entry) => nanosOf(entry.posted_usd))) ?? 0n;
  const held = sumOf(inTime.map((entry) => nanosOf(entry.held_usd))) ?? 0n;
  const charge = nanosOf(exchange.charge_usd) ?? 0n;
  const agrees = -posted === charge && held === 0n;
  return (
    <Panel
      title="What the ledger says"
      hint={<>account <a href={hrefOf("/accounts", exchange.account)}>{exchange.account}</a></>}
      actions={<Badge tone={hold.state === "open" ? "warn" : "plain"}>{hold.state}</Badge>}
    >
      <div class="scroll" role="region" aria-label="Entries of the hold" tabIndex={0}>
        <table>
          <caption class="hidden">Entries of the hold</caption>
          <thead>
            <tr>
              <th scope="col">Entry</th>
              <th scope="col" class="rank-2">Time</th>
              <th scope="col" class="end">Balance</th>
              <th scope="col" class="end">Held</th>
            </tr>
          </thead>
          <tbody>
            {inTime.map((entry) => (
              <tr key={entry.serial}>
                <th scope="row">{ENTRY_KINDS[entry.kind]} {entry.note !== "" && <small>{entry.note}</small>}</th>
                <td class="rank-2"><When at={entry.at} /></td>
                <td class="end">{signed(entry.posted_usd)}</td>
                <td class="end">{signed(entry.held_usd)}</td>
              </tr>
            ))}
          </tbody>
          <tfoot>
            <tr>
              <th scope="row">Sum</th>
              <td class="rank-2" />
              <td class="end">{amount(posted)}</td>
              <td class="end">{amount(held)}</td>
            </tr>
          </tfoot>
        </table>
      </div>
      <p class={`verdict-line ${agrees ? "good" : "bad"}`}>
        <Agrees yes={agrees} says="" />
        {agrees
          ? `The entries took ${exact(-posted)} from the account: the charge, to the nano-dollar. Nothing is held any more.`
          : hold.state === "open"
            ? "The hold is still open."
            : `The entries took ${exact(-posted)}, and the charge on record is ${exact(charge)}. Someone has to look at it.`}
      </p>
    </Panel>
  );
}

export function signed(usd: string): string {
  return amount(nanosOf(usd) ?? 0n);
}

function amount(nanos: bigint): string {
  return nanos === 0n ? "0" : `${nanos > 0n ? "+" : ""}${fixed(nanos, 9)}`;
}
