// The table of exchanges, wherever some are shown.

import type { ComponentChildren } from "preact";

import type { Exchange } from "../api/types.ts";
import type { Paged } from "../app/pages.ts";
import { hrefOf } from "../app/router.ts";
import { flagSays } from "../lib/endings.ts";
import { nanosOf } from "../lib/money.ts";
import { duration, ofNanos } from "../lib/time.ts";
import { Listed } from "../parts/listed.tsx";
import type { Column } from "../parts/table.tsx";
import { Badge, Count, EndingBadge, Money, Unknown, When } from "../parts/text.tsx";

export function modelOf(exchange: Exchange): string | null {
  return exchange.served_model ?? exchange.model_asked;
}

/** The tokens of a side: what was reported, or else what was estimated. */
export function tokensOf(exchange: Exchange, side: "input_tokens" | "output_tokens"): { value: number | null; estimated: boolean } {
  const reported = exchange.usage[side];
  const estimate = exchange.estimate?.[side] ?? null;
  const estimated = estimate !== null && (reported === null || estimate > reported);
  return { value: estimated ? estimate : reported, estimated };
}

/** So many tokens, with a ≈ where they are estimated. */
export function Tokens({ value, estimated }: { value: number | null; estimated: boolean }) {
  return (
    <span title={estimated ? "estimated" : undefined} class={estimated ? "guess" : ""}>
      {estimated && "≈ "}
      <Count value={value} />
    </span>
  );
}

function Name({ text, what }: { text: string | null; what: string }) {
  return text === null ? <Unknown what={what} /> : <span class="clip" title={text}>{text}</span>;
}

/** Where there is no room for a column of endings, they stand below the model. */
function Model({ exchange }: { exchange: Exchange }) {
  return (
    <>
      <Name text={modelOf(exchange)} what="no model" />
      <span class="narrow-only"><EndingBadge ending={exchange.ending} /></span>
    </>
  );
}

const COLUMNS: Column<Exchange>[] = [
  {
    name: "started", title: "Time", head: true, first: "descending", sort: (row) => row.started_at_ns,
    csv: (row) => ofNanos(row.started_at_ns).toISOString(),
    cell: (row) => <a href={hrefOf("/exchanges", row.exchange_id)} title={row.exchange_id}><When ns={row.started_at_ns} /></a>,
  },
  { name: "id", title: "Exchange", unseen: true, csv: (row) => row.exchange_id, cell: (row) => row.exchange_id },
  { name: "model", title: "Model", sort: modelOf, csv: modelOf, cell: (row) => <Model exchange={row} /> },
  { name: "key", title: "Key", rank: 2, sort: (row) => row.key, csv: (row) => row.key, cell: (row) => <Name text={row.key} what="no key" /> },
  { name: "account", title: "Account", rank: 4, sort: (row) => row.account, csv: (row) => row.account, cell: (row) => <Name text={row.account} what="no account" /> },
  { name: "provider", title: "Provider", rank: 4, sort: (row) => row.provider, csv: (row) => row.provider, cell: (row) => <Name text={row.provider} what="no provider" /> },
  {
    name: "ending", title: "Ending", rank: 2, sort: (row) => row.ending, csv: (row) => [row.ending, ...row.flags].join(" "),
    cell: (row) => (
      <span class="badges">
        <EndingBadge ending={row.ending} why={row.error ?? row.in_stream_error} />
        {row.flags.filter((flag) => flag !== row.ending).map((flag) => (
          <Badge key={flag} tone="warn" title={flagSays(flag)}>{flag.split(":")[0]}</Badge>
        ))}
      </span>
    ),
  },
  { name: "error", title: "Error", unseen: true, csv: (row) => row.error ?? row.in_stream_error, cell: (row) => row.error },
  { name: "status", title: "Status", rank: 4, align: "end", sort: (row) => row.status, csv: (row) => row.status, cell: (row) => (row.status < 400 ? row.status : <b class="failed">{row.status}</b>) },
  {
    name: "input", title: "Input", rank: 3, align: "end", sort: (row) => tokensOf(row, "input_tokens").value,
    csv: (row) => tokensOf(row, "input_tokens").value, cell: (row) => <Tokens {...tokensOf(row, "input_tokens")} />,
  },
  {
    name: "output", title: "Output", rank: 3, align: "end", sort: (row) => tokensOf(row, "output_tokens").value,
    csv: (row) => tokensOf(row, "output_tokens").value, cell: (row) => <Tokens {...tokensOf(row, "output_tokens")} />,
  },
  { name: "cost", title: "Cost", csvTitle: "Cost (USD)", align: "end", sort: (row) => nanosOf(row.cost_usd), csv: (row) => row.cost_usd, cell: (row) => <Money usd={row.cost_usd} decimals={6} /> },
  { name: "charge", title: "Charge", csvTitle: "Charge (USD)", rank: 2, align: "end", sort: (row) => nanosOf(row.charge_usd), csv: (row) => row.charge_usd, cell: (row) => <Money usd={row.charge_usd} decimals={6} /> },
  { name: "first", title: "First byte", csvTitle: "First byte (ns)", rank: 4, align: "end", sort: (row) => row.first_byte_ns, csv: (row) => row.first_byte_ns, cell: (row) => duration(row.first_byte_ns) },
  { name: "total", title: "Duration", csvTitle: "Duration (ns)", rank: 2, align: "end", sort: (row) => row.total_ns, csv: (row) => row.total_ns, cell: (row) => duration(row.total_ns) },
];

interface ExchangeTableProps {
  from: Paged<Exchange>;
  empty: ComponentChildren;
  /** Columns that say the same in every row. */
  leave?: readonly string[];
}

export function ExchangeTable({ from, empty, leave = [] }: ExchangeTableProps) {
  return (
    <Listed
      from={from}
      what="exchanges"
      caption="Exchanges"
      columns={COLUMNS.filter((column) => !leave.includes(column.name))}
      id={(row) => row.exchange_id}
      filter="Filter the loaded rows"
      csvName="exchanges"
      empty={empty}
    />
  );
}
