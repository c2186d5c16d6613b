// The exchanges of a stretch of time, filtered by what stands in the address.

import { exchanges as operations, sums } from "../api/client.ts";
import { address } from "../api/http.ts";
import type { By, ExchangeFilter } from "../api/types.ts";
import { useLoad } from "../app/load.ts";
import { usePages } from "../app/pages.ts";
import { href, query, setQuery } from "../app/router.ts";
import { ENDINGS, MARKS } from "../lib/endings.ts";
import { type Span, spanOf } from "../lib/span.ts";
import { rfc } from "../lib/time.ts";
import { FilterField } from "../parts/filter.tsx";
import { Icon } from "../parts/icon.tsx";
import { Empty } from "../parts/notice.tsx";
import { Head, Panel } from "../parts/panel.tsx";
import { RangePicker } from "../parts/range.tsx";
import { ExchangeTable } from "./exchange-table.tsx";

const NAMES = ["model", "key", "account", "provider"] as const;
const FILTERS = [...NAMES, "ending", "mark"] as const;
const PAGE = 100;

function filterOf(params: URLSearchParams, span: Span): ExchangeFilter {
  const filter: ExchangeFilter = { since: rfc(span.since), until: span.until === null ? undefined : rfc(span.until) };
  for (const name of FILTERS) filter[name] = params.get(name) ?? undefined;
  return filter;
}

export function ExchangesPage() {
  const params = query.value;
  const span = spanOf(params, new Date(), undefined, true);
  const key = ["range", "since", "until", ...FILTERS].map((name) => params.get(name) ?? "").join("\n");
  const filter = filterOf(params, span);
  const listed = usePages(key, (cursor, signal) => operations.list(filter, { limit: PAGE, cursor }, signal));
  const active = FILTERS.filter((name) => params.has(name));
  return (
    <>
      <Head title="Exchanges" lead="One record for each request: how it ended, what it used, what it cost.">
        <RangePicker span={span} />
      </Head>
      <Filters params={params} span={span} active={active} />
      <Panel title={titleOf(params)} actions={<Exports filter={filter} again={listed.again} />}>
        <ExchangeTable from={listed} empty={<None filtered={active.length > 0} />} />
      </Panel>
    </>
  );
}

function titleOf(params: URLSearchParams): string {
  const mark = MARKS[params.get("mark") as keyof typeof MARKS];
  return mark === undefined ? "Newest first" : `Those that are ${mark.name}: ${mark.says}`;
}

function Exports({ filter, again }: { filter: ExchangeFilter; again: () => void }) {
  return (
    <>
      <button type="button" class="quiet" onClick={again}>Refresh</button>
      {(["csv", "jsonl"] as const).map((format) => (
        <a key={format} class="button" download href={address("/records/export", { format, ...filter })}>
          <Icon name="save" size={14} /> All as {format === "csv" ? "CSV" : "JSON lines"}
        </a>
      ))}
    </>
  );
}

function None({ filtered }: { filtered: boolean }) {
  return (
    <Empty title="No exchanges">
      {filtered ? (
        <p>
          None fits the filters in this stretch of time. <button type="button" onClick={clear}>Take the filters away</button>
        </p>
      ) : (
        <p>Nothing was asked in this stretch of time. Choose a longer one, or send a request; <a href={href("/")}>the overview</a> shows how.</p>
      )}
    </Empty>
  );
}

function clear(): void {
  setQuery(Object.fromEntries(FILTERS.map((name) => [name, null])));
}

function Filters({ params, span, active }: { params: URLSearchParams; span: Span; active: readonly string[] }) {
  return (
    <div class="filters" role="search" aria-label="Filters of exchanges">
      {NAMES.map((name) => (
        <NameFilter key={name} name={name} value={params.get(name) ?? ""} span={span} />
      ))}
      <Select name="ending" label="Ending" value={params.get("ending") ?? ""} choices={Object.entries(ENDINGS)} />
      <Select name="mark" label="Mark" value={params.get("mark") ?? ""} choices={Object.entries(MARKS)} />
      {active.length > 0 && <button type="button" class="quiet" onClick={clear}><Icon name="cross" size={14} /> Clear</button>}
    </div>
  );
}

/** A name, with those of the stretch of time to choose from. */
function NameFilter({ name, value, span }: { name: By; value: string; span: Span }) {
  const known = useLoad(`${name} ${span.range ?? rfc(span.since)}`, async (signal) => {
    const usage = await sums.usage(name, rfc(span.since), undefined, signal);
    return usage.rows.map((row) => row[name]).filter((found): found is string => typeof found === "string");
  });
  return <FilterField name={name} label={name[0]!.toUpperCase() + name.slice(1)} value={value} known={known.value ?? []} />;
}

interface SelectProps {
  name: string;
  label: string;
  value: string;
  choices: [string, { name: string }][];
}

function Select({ name, label, value, choices }: SelectProps) {
  return (
    <label class={value === "" ? "" : "set"}>
      {label}
      <select value={value} onChange={(event) => setQuery({ [name]: event.currentTarget.value })}>
        <option value="">any</option>
        {choices.map(([choice, told]) => (
          <option key={choice} value={choice}>{told.name}</option>
        ))}
      </select>
    </label>
  );
}
