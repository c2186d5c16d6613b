// What stands around every page: the way to the others, who is signed in, and the theme.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

import type { Session } from "../api/types.ts";
import { Icon, type IconName } from "../parts/icon.tsx";
import { Logo } from "../parts/logo.tsx";
import { useDoing } from "./load.ts";
import { href, path, visits } from "./router.ts";
import { signOut } from "./session.ts";
import { theme, type Theme } from "./theme.ts";

const PAGES: readonly (readonly [string, IconName, string])[] = [
  ["/", "overview", "Overview"],
  ["/live", "live", "Live"],
  ["/exchanges", "exchanges", "Exchanges"],
  ["/keys", "keys", "Keys"],
  ["/accounts", "accounts", "Accounts"],
  ["/budgets", "budgets", "Budgets"],
  ["/providers", "providers", "Providers & models"],
  ["/health", "health", "Health"],
  ["/audit", "audit", "Audit log"],
];

export function Shell({ session, children }: { session: Session; children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  const leaving = useDoing();
  useEffect(() => setOpen(false), [visits.value]);
  return (
    <div class="shell">
      <a class="skip" href="#main">Skip to the content</a>
      <header class="side" data-open={open}>
        <div class="top">
          <a class="brand" href={href("/")} aria-label="headgate, overview">
            <Logo /> <span>headgate</span>
          </a>
          <button type="button" class="quiet burger" aria-expanded={open} aria-controls="nav" aria-label="Menu" onClick={() => setOpen(!open)}>
            <Icon name={open ? "cross" : "menu"} />
          </button>
        </div>
        <nav id="nav" aria-label="Pages">
          <ul onClick={() => setOpen(false)}>
            {PAGES.map(([to, icon, name]) => (
              <li key={to}>
                <a href={href(to)} aria-current={isAt(to) ? "page" : undefined}>
                  <Icon name={icon} /> {name}
                </a>
              </li>
            ))}
          </ul>
          <div class="who">
            <ThemeSwitch />
            <p>
              Signed in as <strong>{session.name}</strong>
            </p>
            <button type="button" class="quiet" onClick={() => leaving.run(signOut)} disabled={leaving.busy}>
              <Icon name="out" size={14} /> Sign out
            </button>
            {leaving.error !== null && <p role="alert">You are still signed in. {leaving.error.message}</p>}
          </div>
        </nav>
      </header>
      <main id="main">{children}</main>
    </div>
  );
}

function isAt(to: string): boolean {
  if (to === "/audit" && path.value === "/transcripts") return true;
  return to === "/" ? path.value === "/" : path.value === to || path.value.startsWith(`${to}/`);
}

const THEMES: readonly (readonly [Theme, IconName, string])[] = [
  ["system", "auto", "Theme of the system"],
  ["light", "sun", "Light theme"],
  ["dark", "moon", "Dark theme"],
];

export function ThemeSwitch() {
  return (
    <div class="segments" role="group" aria-label="Theme">
      {THEMES.map(([name, icon, label]) => (
        <button
          type="button"
          key={name}
          aria-pressed={theme.value === name}
          aria-label={label}
          title={label}
          onClick={() => {
            theme.value = name;
          }}
        >
          <Icon name={icon} size={14} />
        </button>
      ))}
    </div>
  );
}
