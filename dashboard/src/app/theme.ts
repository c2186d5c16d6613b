// Light or dark: the system's choice, or one's own, which is remembered.

import { computed, effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
const NAME = "headgate-theme";
const media = matchMedia("(prefers-color-scheme: dark)");

function remembered(): Theme {
  try {
    const kept = localStorage.getItem(NAME);
    return kept === "light" || kept === "dark" ? kept : "system";
  } catch {
    return "system"; // storage may be forbidden
  }
}

export const theme = signal<Theme>(remembered());
const systemDark = signal(media.matches);

/** What is shown; charts are drawn anew when it changes. */
export const dark = computed(() => (theme.value === "system" ? systemDark.value : theme.value === "dark"));

export function startTheme(): void {
  media.addEventListener("change", (event) => {
    systemDark.value = event.matches;
  });
  effect(() => {
    document.documentElement.dataset["theme"] = theme.value;
    try {
      if (theme.value === "system") localStorage.removeItem(NAME);
      else localStorage.setItem(NAME, theme.value);
    } catch {
      // not remembered, then
    }
  });
}
