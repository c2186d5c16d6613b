// Where requests can go, which models there are, and what they cost.

import { useState } from "preact/hooks";

import { gateway } from "../api/client.ts";
import type { Model, Price, Provider, Rate } from "../api/types.ts";
import { useLoad } from "../app/load.ts";
import { usePages } from "../app/pages.ts";
import { href, query } from "../app/router.ts";
import { brief } from "../lib/numbers.ts";
import { Dialog } from "../parts/dialog.tsx";
import { FilterField } from "../parts/filter.tsx";
import { Listed } from "../parts/listed.tsx";
import { Empty, With } from "../parts/notice.tsx";
import { Head, Panel } from "../parts/panel.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Badge, Code, Unknown } from "../parts/text.tsx";

export function ProvidersPage() {
  const providers = useLoad("providers", (signal) => gateway.providers(signal));
  return (
    <>
      <Head title="Providers & models" lead="Where requests can go, and what they cost there now." />
      <Panel title="Providers">
        <With from={providers} what="providers">{(value) => <Providers providers={value.data} />}</With>
      </Panel>
      <Models />
    </>
  );
}

const ADD = `[providers.openai]
api_key = "\${OPENAI_API_KEY}"`;

function Providers({ providers }: { providers: Provider[] }) {
  const columns: Column<Provider>[] = [
    { name: "name", title: "Name", head: true, sort: (row) => row.name, csv: (row) => row.name, cell: (row) => <a href={href("/exchanges", { provider: row.name, range: "7d" })}>{row.name}</a> },
    { name: "provider", title: "Kind", rank: 2, sort: (row) => row.provider, csv: (row) => row.provider, cell: (row) => row.provider },
    { name: "address", title: "Address", sort: (row) => row.base_url, csv: (row) => row.base_url, cell: (row) => <span class="mono">{row.base_url}</span> },
    { name: "credential", title: "Credential", sort: (row) => credential(row), csv: credential, cell: (row) => <Badge tone={row.has_credential || row.client_keys ? "good" : "plain"}>{credential(row)}</Badge> },
    {
      name: "cooling",
      title: "Cools down",
      rank: 2,
      sort: (row) => row.cooling.length,
      csv: (row) => row.cooling.map((each) => each.model).join(" "),
      cell: (row) =>
        row.cooling.length === 0 ? (
          <span class="muted">no</span>
        ) : (
          <span class="badges">{row.cooling.map((each) => <Badge key={each.model} tone="warn">{`${each.model}, ${each.seconds} s`}</Badge>)}</span>
        ),
    },
    { name: "dialects", title: "Dialects", rank: 3, csv: (row) => row.dialects.join(" "), cell: (row) => <span class="badges">{row.dialects.map((dialect) => <Badge key={dialect}>{dialect}</Badge>)}</span> },
    { name: "websocket", title: "WebSocket", rank: 4, sort: (row) => row.websocket, csv: (row) => String(row.websocket), cell: (row) => (row.websocket ? "yes" : <span class="muted">no</span>) },
    { name: "gone", title: "When a client leaves", rank: 4, sort: (row) => row.on_client_gone, csv: (row) => row.on_client_gone, cell: (row) => row.on_client_gone },
  ];
  return (
    <Table
      caption="Providers"
      columns={columns}
      rows={providers}
      id={(row) => row.name}
      order={{ column: "name", direction: "ascending" }}
      csvName="providers"
      empty={
        <Empty title="No provider is configured">
          <p>Set the variable of one in the gateway's environment, such as <code>OPENAI_API_KEY</code>, or put it into <code>headgate.toml</code>:</p>
          <Code text={ADD} label="a provider in headgate.toml" />
        </Empty>
      }
    />
  );
}

function credential(provider: Provider): string {
  return provider.client_keys ? "the client's own" : provider.has_credential ? "ours" : "none";
}

function Models() {
  const search = query.value.get("search") ?? "";
  const listed = usePages(search, (cursor, signal) => gateway.models(search, { limit: 100, cursor }, signal));
  const [open, setOpen] = useState<Model | null>(null);
  return (
    <Panel title="Models" hint="Dollars for a million tokens, on standard terms, at this moment.">
      <div class="filters" role="search" aria-label="Search of models">
        <FilterField name="search" label="Model or provider" value={search} eager />
      </div>
      <Listed
        from={listed}
        what="models"
        caption="Models"
        columns={columns(setOpen)}
        id={(row) => `${row.provider} ${row.model}`}
        csvName="models"
        empty={<Empty title="No such model"><p>Any name can be asked for all the same, with the provider before it: <code>provider/model</code>.</p></Empty>}
      />
      {open !== null && open.prices !== null && <PriceDialog model={open.model} price={open.prices} close={() => setOpen(null)} />}
    </Panel>
  );
}

/** The standard rate of a unit, for prompts of any size. */
function standard(model: Model, unit: string): Rate | null {
  return model.prices?.rates.find((rate) => rate.unit === unit && rate.above_input_tokens === null && Object.keys(rate.when).length === 0) ?? null;
}

/** At least two decimals, and all there are. */
function dollars(text: string): string {
  const [whole = "0", decimals = ""] = text.split(".");
  return `${whole}.${decimals.padEnd(2, "0")}`;
}

function rateColumn(name: string, title: string, unit: string, rank?: 2 | 3): Column<Model> {
  const usd = (row: Model) => standard(row, unit)?.usd ?? null;
  return {
    name, title, align: "end", ...(rank === undefined ? {} : { rank }),
    sort: (row) => (usd(row) === null ? null : Number(usd(row))), // compared, never added up
    csv: usd,
    cell: (row) => (usd(row) === null ? <Unknown what="no rate" /> : <span class="number">${dollars(usd(row)!)}</span>),
  };
}

function columns(open: (model: Model) => void): Column<Model>[] {
  return [
    { name: "model", title: "Model", head: true, sort: (row) => row.model, csv: (row) => row.model, cell: (row) => <a href={href("/exchanges", { model: row.model, range: "7d" })}>{row.model}</a> },
    { name: "provider", title: "Provider", rank: 2, sort: (row) => row.provider, csv: (row) => row.provider, cell: (row) => row.provider },
    rateColumn("input", "Input", "input_mtok"),
    rateColumn("cached", "From a cache", "cache_read_mtok", 2),
    rateColumn("written", "Into a cache", "cache_write_mtok", 3),
    rateColumn("output", "Output", "output_mtok"),
    { name: "window", title: "Window", align: "end", rank: 3, sort: (row) => row.prices?.context_window, csv: (row) => row.prices?.context_window, cell: (row) => (row.prices?.context_window == null ? <Unknown what="not known" /> : brief(row.prices.context_window)) },
    { name: "source", title: "Price", rank: 2, sort: (row) => row.prices?.source, csv: (row) => row.prices?.source, cell: (row) => (row.prices === null ? <Badge tone="warn">none</Badge> : <Badge>{row.prices.source}</Badge>) },
    {
      name: "all", title: "", cell: (row) =>
        row.prices !== null && <button type="button" class="quiet small" aria-label={`${row.prices.rates.length} rates of ${row.model} at ${row.provider}`} onClick={() => open(row)}>{row.prices.rates.length} rates</button>,
    },
  ];
}

function whenText(rate: Rate): string {
  const terms = Object.entries(rate.when).map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`);
  if (rate.above_input_tokens !== null) terms.push(`above ${brief(rate.above_input_tokens)} input tokens`);
  return terms.join(", ");
}

function PriceDialog({ model, price, close }: { model: string; price: Price; close: () => void }) {
  return (
    <Dialog title={model} close={close}>
      <div class="body">
        <p class="hint">At {price.provider}, from the {price.source}, {price.version}</p>
        <div class="scroll">
          <table>
            <caption class="hidden">All rates</caption>
            <thead>
              <tr><th scope="col">Unit</th><th scope="col">When</th><th scope="col" class="end">Dollars</th><th scope="col" class="end">For</th></tr>
            </thead>
            <tbody>
              {price.rates.map((rate, at) => (
                <tr key={at}>
                  <th scope="row">{rate.unit.replaceAll("_", " ")}</th>
                  <td>{whenText(rate) || <span class="muted">standard</span>}</td>
                  <td class="end">{rate.usd}</td>
                  <td class="end">{rate.per.toLocaleString("en-US")}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        {price.multiples.map((multiple, at) => (
          <p key={at}>Times {multiple.by} where {Object.entries(multiple.when).map(([name, value]) => `${name.replaceAll("_", " ")} is ${value}`).join(" and ")}.</p>
        ))}
      </div>
    </Dialog>
  );
}
