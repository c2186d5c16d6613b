// Which page an address is, and what is shown before anyone is signed in.

import type { ComponentChild } from "preact";

import { AccountPage } from "../pages/account.tsx";
import { AccountsPage } from "../pages/accounts.tsx";
import { AuditPage } from "../pages/audit.tsx";
import { BudgetsPage } from "../pages/budgets.tsx";
import { ExchangePage } from "../pages/exchange.tsx";
import { ExchangesPage } from "../pages/exchanges.tsx";
import { HealthPage } from "../pages/health.tsx";
import { KeyPage } from "../pages/key.tsx";
import { KeysPage } from "../pages/keys.tsx";
import { LivePage } from "../pages/live.tsx";
import { OverviewPage } from "../pages/overview.tsx";
import { ProvidersPage } from "../pages/providers.tsx";
import { TranscriptsPage } from "../pages/transcripts.tsx";
import { SignInPage } from "../pages/signin.tsx";
import { Head } from "../parts/panel.tsx";
import { href, path } from "./router.ts";
import { state } from "./session.ts";
import { Shell } from "./shell.tsx";

export function App() {
  const now = state.value;
  switch (now.is) {
    case "unknown":
      return <main class="blank" aria-busy="true" />;
    case "in":
      return <Shell session={now.session}>{page(path.value)}</Shell>;
    default:
      return <SignInPage state={now} />;
  }
}

const PAGES: Record<string, () => ComponentChild> = {
  "/": () => <OverviewPage />,
  "/live": () => <LivePage />,
  "/exchanges": () => <ExchangesPage />,
  "/keys": () => <KeysPage />,
  "/accounts": () => <AccountsPage />,
  "/budgets": () => <BudgetsPage />,
  "/providers": () => <ProvidersPage />,
  "/health": () => <HealthPage />,
  "/audit": () => <AuditPage />,
  "/transcripts": () => <TranscriptsPage />,
};

/** Pages about one thing, by the folder that they are in. */
const ONE: Record<string, (id: string) => ComponentChild> = {
  exchanges: (id) => <ExchangePage key={id} id={id} />,
  keys: (id) => <KeyPage key={id} id={id} />,
  accounts: (id) => <AccountPage key={id} id={id} />,
};

function page(at: string): ComponentChild {
  const whole = PAGES[at];
  if (whole !== undefined) return whole();
  const [, folder = "", id = "", rest] = at.split("/");
  const one = ONE[folder];
  return one !== undefined && id !== "" && rest === undefined ? one(decoded(id)) : <Missing />;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function Missing() {
  return (
    <Head
      title="There is no such page"
      lead={<>It may have moved. <a href={href("/")}>The overview</a> is where it always was.</>}
    />
  );
}
