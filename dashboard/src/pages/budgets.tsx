// All budgets, the fullest first.

import { budgets, everything, keys } from "../api/client.ts";
import { useLoad } from "../app/load.ts";
import { labelsOf } from "../lib/names.ts";
import { With } from "../parts/notice.tsx";
import { Head, Panel } from "../parts/panel.tsx";
import { BudgetTable, NewBudget } from "./budget-parts.tsx";

export function BudgetsPage() {
  const loaded = useLoad("budgets", async (signal) => {
    const [found, known] = await Promise.all([
      everything((paging) => budgets.list(paging, signal)),
      everything((paging) => keys.list(paging, signal)),
    ]);
    return { budgets: found, names: labelsOf(known.rows) };
  });
  const names = loaded.value?.names ?? new Map<string, string>();
  return (
    <>
      <Head title="Budgets" lead="What keys, accounts and tags may spend within a day, a week, a month or for good.">
        <NewBudget given={{}} names={names} changed={loaded.again} />
      </Head>
      <Panel title="How full they are">
        <With from={loaded} what="budgets">
          {(value) => (
            <BudgetTable
              budgets={value.budgets.rows}
              cut={value.budgets.cut}
              names={value.names}
              changed={loaded.again}
              empty="There are no budgets: nothing but credit and limits bounds what is spent. Set one with the button above."
            />
          )}
        </With>
      </Panel>
    </>
  );
}
