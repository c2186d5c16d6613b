// Who did what: the deeds of administrators.

import { audit } from "../api/client.ts";
import { address } from "../api/http.ts";
import type { Deed } from "../api/types.ts";
import { usePages } from "../app/pages.ts";
import { href, query, setQuery } from "../app/router.ts";
import { outcomeOf } from "../lib/deeds.ts";
import { spanOf } from "../lib/span.ts";
import { rfc } from "../lib/time.ts";
import { FilterField } from "../parts/filter.tsx";
import { Icon } from "../parts/icon.tsx";
import { Listed } from "../parts/listed.tsx";
import { Empty } from "../parts/notice.tsx";
import { Head, Panel } from "../parts/panel.tsx";
import { RangePicker } from "../parts/range.tsx";
import type { Column } from "../parts/table.tsx";
import { Badge, Unknown, When } from "../parts/text.tsx";
import { stampOf } from "./own-spending.tsx";

const FILTERS = [["actor", "Who"], ["action", "Action"], ["subject", "On what"], ["text", "Text"]] as const;

function detailText(deed: Deed): string {
  const said = Object.entries(deed.detail).filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && value.length === 0));
  return said.map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`).join(", ");
}

function Outcome({ status }: { status: number | null }) {
  const { name, tone, says } = outcomeOf(status);
  return <Badge tone={tone} title={says}>{name}</Badge>;
}

const COLUMNS: Column<Deed>[] = [
  { name: "at", title: "Time", head: true, sort: (row) => row.at, first: "descending", csv: (row) => row.at, cell: (row) => <When at={row.at} /> },
  { name: "actor", title: "Who", sort: (row) => row.actor, csv: (row) => row.actor, cell: (row) => <button type="button" class="link" onClick={() => setQuery({ actor: row.actor })}>{row.actor}</button> },
  { name: "action", title: "Action", sort: (row) => row.action, csv: (row) => row.action, cell: (row) => row.action.replaceAll("_", " ") },
  { name: "subject", title: "On what", sort: (row) => row.subject, csv: (row) => row.subject, cell: (row) => (row.subject !== "" ? <span class="mono">{row.subject}</span> : <Unknown what="nothing in particular" />) },
  { name: "status", title: "Came of it", rank: 2, sort: (row) => row.status, csv: (row) => row.status, cell: (row) => <Outcome status={row.status} /> },
  { name: "detail", title: "Detail", rank: 3, csv: detailText, cell: (row) => <span class="detail mono muted" title={detailText(row)}>{detailText(row)}</span> },
];

export function AuditPage() {
  const params = query.value;
  const span = spanOf(params, new Date(), "30d", true);
  const filter = {
    since: rfc(span.since),
    until: span.until === null ? undefined : rfc(span.until),
    ...Object.fromEntries(FILTERS.map(([name]) => [name, params.get(name) ?? undefined])),
  };
  const key = [stampOf(span), ...FILTERS.map(([name]) => params.get(name) ?? "")].join("\n");
  const listed = usePages(key, (cursor, signal) => audit.list(filter, { limit: 100, cursor }, signal));
  return (
    <>
      <Head title="Audit log" lead="Who did what, with which admin key. Nothing in it can be changed from here.">
        <RangePicker span={span} />
        <a class="button" href={href("/transcripts")}>Transcripts</a>
      </Head>
      <div class="filters" role="search" aria-label="Filters of the audit log">
        {FILTERS.map(([name, label]) => (
          <FilterField key={name} name={name} label={label} value={params.get(name) ?? ""} />
        ))}
      </div>
      <Panel
        title="Newest first"
        actions={<a class="button" download href={address("/audit/export", filter)}><Icon name="save" size={14} /> All as JSON lines</a>}
      >
        <Listed
          from={listed} what="the audit log" caption="Deeds" columns={COLUMNS} id={(row) => String(row.serial)} filter="Filter the loaded rows" csvName="audit"
          empty={<Empty title="Nothing was done"><p>Every change by the admin API and the dashboard leaves a deed here, refused ones too.</p></Empty>}
        />
      </Panel>
    </>
  );
}
