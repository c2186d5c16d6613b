// The lines of the bill, and that they add up to the cost.

import type { Exchange, PriceLine } from "../api/types.ts";
import { lineAmount, linesTotal, rounded } from "../lib/bill.ts";
import { exact, fixed, type Nanos, nanosOf } from "../lib/money.ts";
import { grouped } from "../lib/numbers.ts";
import { Icon } from "../parts/icon.tsx";
import { Panel } from "../parts/panel.tsx";
import { Money, Unknown } from "../parts/text.tsx";

const SOURCES: Record<string, string> = {
  book: "prices of the price book",
  operator: "prices of the operator's own",
  reported: "the cost that the provider reported",
  none: "no price is known",
};

export function Bill({ exchange }: { exchange: Exchange }) {
  const cost = nanosOf(exchange.cost_usd);
  const charge = nanosOf(exchange.charge_usd);
  const total = linesTotal(exchange.lines);
  return (
    <Panel title="What it cost" hint={exchange.price_source === null ? undefined : SOURCES[exchange.price_source]}>
      {exchange.lines.length === 0 ? (
        <p class="muted">{cost === null ? "Nobody can say: there is no price for what was used." : cost === 0n ? "Nothing was used that costs anything." : "There are no price lines."}</p>
      ) : (
        <Lines lines={exchange.lines} total={total} cost={cost} />
      )}
      <dl class="facts">
        <div><dt>Cost at the provider</dt><dd class="end">{cost === null ? <Unknown what="unknown" /> : exact(cost)}</dd></div>
        {exchange.account !== null && (
          <>
            <div><dt>Mark-up</dt><dd class="end">{markUp(cost, charge)}</dd></div>
            <div><dt>Charge to the account</dt><dd class="end">{charge === null ? <Unknown what="unknown" /> : exact(charge)}</dd></div>
            <div><dt>Hold</dt><dd class="end"><Money usd={exchange.hold_usd} decimals={9} /></dd></div>
          </>
        )}
        {exchange.price_version !== null && <div><dt>Price book</dt><dd class="end mono">{exchange.price_version}</dd></div>}
      </dl>
    </Panel>
  );
}

/** What the charge is above the cost. */
function markUp(cost: Nanos | null, charge: Nanos | null) {
  if (cost === null || charge === null) return <Unknown what="unknown" />;
  if (charge === 0n && cost > 0n) return "not charged";
  if (charge === cost || cost === 0n) return "none";
  const more = Number(((charge - cost) * 1_000_000n) / cost) / 10_000;
  return `${more > 0 ? "+" : "−"}${Math.abs(more).toFixed(2).replace(/\.?0+$/, "")} % (${fixed(charge - cost, 9)})`;
}

function Lines({ lines, total, cost }: { lines: PriceLine[]; total: Nanos; cost: Nanos | null }) {
  return (
    <div class="scroll" role="region" aria-label="Price lines" tabIndex={0}>
      <table>
        <caption class="hidden">Price lines</caption>
        <thead>
          <tr>
            <th scope="col">Unit</th>
            <th scope="col" class="end">Quantity</th>
            <th scope="col" class="end">Rate</th>
            <th scope="col" class="end">Amount</th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line, at) => (
            <tr key={at}>
              <th scope="row">{unitName(line)}</th>
              <td class="end">{grouped(line.quantity)}</td>
              <td class="end">{rateText(line)}</td>
              <td class="end">{fixed(rounded(lineAmount(line)), 9)}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row" colSpan={3}>Sum of the lines</th>
            <td class="end">
              <Agrees yes={cost === total} says={cost === total ? "equals the cost" : "is not the cost"} /> {fixed(total, 9)}
            </td>
          </tr>
        </tfoot>
      </table>
    </div>
  );
}

export function Agrees({ yes, says }: { yes: boolean; says: string }) {
  return (
    <span class={`agrees ${yes ? "good" : "bad"}`} title={says}>
      <Icon name={yes ? "check" : "cross"} size={14} />
      <span class="hidden">{says}</span>
    </span>
  );
}

const UNITS: Record<string, string> = {
  input_mtok: "input tokens",
  output_mtok: "output tokens",
  cache_read_mtok: "input from a cache",
  cache_write_mtok: "input into a cache",
  requests_kcount: "requests",
  reported_nanos: "nano-dollars as reported",
};

function unitName(line: PriceLine): string {
  const name = UNITS[line.unit] ?? line.unit.replace(/_(mtok|kcount)$/, "").replaceAll("_", " ");
  return line.leg === null ? name : `${line.leg}: ${name}`;
}

function rateText(line: PriceLine): string {
  if (line.per === 1_000_000) return `$${line.dollars} / M`;
  if (line.per === 1_000) return `$${line.dollars} / k`;
  return line.per === 1 ? `$${line.dollars}` : `$${line.dollars} / ${line.per.toLocaleString("en-US")}`;
}
