// What was said, where the gateway keeps it: searched by text; each is read on its exchange's page.

import { transcripts } from "../api/client.ts";
import { address } from "../api/http.ts";
import type { Heading } from "../api/types.ts";
import { usePages } from "../app/pages.ts";
import { href, hrefOf, query } from "../app/router.ts";
import { bytes } from "../lib/numbers.ts";
import { spanOf } from "../lib/span.ts";
import { rfc } from "../lib/time.ts";
import { FilterField } from "../parts/filter.tsx";
import { Icon } from "../parts/icon.tsx";
import { Listed } from "../parts/listed.tsx";
import { Empty } from "../parts/notice.tsx";
import { Head, Panel } from "../parts/panel.tsx";
import { RangePicker } from "../parts/range.tsx";
import type { Column } from "../parts/table.tsx";
import { Code, Unknown, When } from "../parts/text.tsx";
import { stampOf } from "./own-spending.tsx";

const KEEP = `[[audit.bodies]]     # without a rule no body is kept
keys = ["acme-web"]`;

const COLUMNS: Column<Heading>[] = [
  { name: "at", title: "Time", head: true, first: "descending", sort: (row) => row.at, csv: (row) => row.at, cell: (row) => <a href={hrefOf("/exchanges", row.exchange_id)}><When at={row.at} /></a> },
  { name: "key", title: "Key", sort: (row) => row.key, csv: (row) => row.key, cell: (row) => row.key ?? <Unknown what="no key" /> },
  { name: "dialect", title: "Dialect", rank: 2, sort: (row) => row.dialect, csv: (row) => row.dialect, cell: (row) => row.dialect ?? <Unknown what="none" /> },
  { name: "path", title: "Path", rank: 3, sort: (row) => row.path, csv: (row) => row.path, cell: (row) => <span class="mono">{row.path}</span> },
  { name: "request", title: "Request", align: "end", sort: (row) => row.request_bytes, csv: (row) => row.request_bytes, cell: (row) => bytes(row.request_bytes) },
  { name: "response", title: "Response", align: "end", sort: (row) => row.response_bytes, csv: (row) => row.response_bytes, cell: (row) => bytes(row.response_bytes) },
];

export function TranscriptsPage() {
  const params = query.value;
  const span = spanOf(params, new Date(), "7d", true);
  const [key, text] = [params.get("key") ?? undefined, params.get("text") ?? undefined];
  const filter = { since: rfc(span.since), until: span.until === null ? undefined : rfc(span.until), key, text };
  const listed = usePages([stampOf(span), key, text].join("\n"), (cursor, signal) => transcripts.list(filter, { limit: 50, cursor }, signal));
  return (
    <>
      <Head title="Transcripts" lead="What was said, where a rule has it kept. Whoever reads one leaves a deed in the audit log.">
        <RangePicker span={span} />
        <a class="button" href={href("/audit")}>Audit log</a>
      </Head>
      <div class="filters" role="search" aria-label="Search of transcripts">
        {([["text", "Text in it", text], ["key", "Key", key]] as const).map(([name, label, value]) => (
          <FilterField key={name} name={name} label={label} value={value ?? ""} />
        ))}
      </div>
      <Panel title="Newest first" actions={<a class="button" download href={address("/transcripts/export", filter)}><Icon name="save" size={14} /> All as JSON lines</a>}>
        <Listed from={listed} what="transcripts" caption="Transcripts" columns={COLUMNS} id={(row) => row.exchange_id} csvName="transcripts" empty={<None searched={key !== undefined || text !== undefined} />} />
      </Panel>
    </>
  );
}

function None({ searched }: { searched: boolean }) {
  if (searched) return <Empty title="Nothing of that is kept from this stretch of time" />;
  return (
    <Empty title="No transcripts are kept from this stretch of time">
      <p>Bodies are kept only where a rule in the gateway's <code>headgate.toml</code> says so:</p>
      <Code text={KEEP} label="a rule that keeps bodies" />
    </Empty>
  );
}
