// Line icons, 16 by 16, drawn for this dashboard.

const PATHS = {
  overview: "M2 13.5h12M4 11V7.5M8 11V3M12 11V5.5",
  live: "M1.5 8.5h3l1.8-4.5 3.2 8.5 2-4h3",
  exchanges: "M3 5.5h9.5M10 3l2.5 2.5L10 8M13 10.5H3.5M6 8l-2.5 2.5L6 13",
  keys: "M9.2 6.8a3 3 0 1 1-1.1-1.1M8.3 7.7 13.5 13M11 10.4l1.6-1.6",
  accounts: "M2 5h11.5v8H2zM2 5l8.5-2.5V5M11 9h1",
  budgets: "M2.5 11.5a5.8 5.8 0 1 1 11 0M8 11l2.6-4M2.5 11.5h1.4M12.1 11.5h1.4",
  providers: "M5.5 2v3.5M10.5 2v3.5M3.5 5.5h9v2a4.5 4.5 0 0 1-9 0zM8 12v2.5",
  health: "M8 13.5C3.5 10.6 2 8.3 2 6a2.9 2.9 0 0 1 6-1 2.9 2.9 0 0 1 6 1c0 2.3-1.5 4.6-6 7.5z",
  audit: "M4 2h6l2.5 2.5V14H4zM6.2 7h4M6.2 9.5h4M6.2 12h2.5",
  menu: "M2 4h12M2 8h12M2 12h12",
  check: "M3 8.5l3.2 3.2L13 4.8",
  cross: "M4 4l8 8M12 4l-8 8",
  warn: "M8 2.5l6 11H2zM8 6.5v3.4M8 11.6v.4",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  sun: "M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6M8 1.2v1.3M8 13.5v1.3M1.2 8h1.3M13.5 8h1.3M3.2 3.2l.9.9M11.9 11.9l.9.9M12.8 3.2l-.9.9M4.1 11.9l-.9.9",
  moon: "M13 9.6A5.6 5.6 0 1 1 6.4 3a4.6 4.6 0 0 0 6.6 6.6z",
  auto: "M2 3.5h12v7.5H2zM5.5 13.5h5M8 11v2.5",
  out: "M6.5 2.5H3v11h3.5M10 5l3 3-3 3M13 8H6.5",
  more: "M8 3v10M3 8h10",
  table: "M2.5 3.5h11v9h-11zM2.5 6.5h11M2.5 9.5h11M6 3.5v9",
  chart: "M2.5 13.5h11M4.5 11V8M8 11V4M11.5 11V6.5",
  up: "M8 13V3.5M4 7.3l4-4 4 4",
  down: "M8 3v9.5M4 8.7l4 4 4-4",
  save: "M8 2.5v7.5M4.8 7.2 8 10.4l3.2-3.2M3 13.5h10",
  link: "M6 3H3v10h10v-3M9 3h4v4M13 3 7 9",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
