// Where in the dashboard we are: the path below /dashboard and the query. Links are plain links; clicks on them are
// taken here, so that they open without loading the page anew.

import { computed, signal } from "@preact/signals";

const ROOT = "/dashboard";

interface Place {
  path: string;
  search: string;
}

function here(): Place {
  const path = location.pathname.startsWith(ROOT) ? location.pathname.slice(ROOT.length) : location.pathname;
  return { path: path.replace(/\/+$/, "") || "/", search: location.search };
}

const place = signal<Place>(here());

/** "/" or "/exchanges/ex_1", decoded part by part where it is taken apart. */
export const path = computed(() => place.value.path);
export const query = computed(() => new URLSearchParams(place.value.search));

/** How often a place was gone to by a link or by hand: focus moves to the heading of each. */
export const visits = signal(0);

export type Query = Record<string, string | null | undefined>;

/** The address of a page; parameters without a value are left out. */
export function href(to: string, params: Query | URLSearchParams = {}): string {
  const given = params instanceof URLSearchParams ? [...params] : Object.entries(params);
  const search = new URLSearchParams();
  for (const [name, value] of given) if (value !== null && value !== undefined && value !== "") search.set(name, value);
  const text = search.toString();
  return `${ROOT}${to === "/" ? "/" : to}${text === "" ? "" : `?${text}`}`;
}

/** A page about one thing, with its name in the path. */
export function hrefOf(folder: string, id: string, params: Query = {}): string {
  return href(`${folder}/${encodeURIComponent(id)}`, params);
}

export function go(address: string): void {
  const before = place.value.path;
  history.pushState(null, "", address);
  place.value = here();
  if (place.value.path !== before) {
    scrollTo(0, 0);
    visits.value += 1;
  }
}

/** Change parameters of the address where we are; null removes one. Without a step back in the browser's history. */
export function setQuery(changes: Query): void {
  const next = new URLSearchParams(place.value.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") next.delete(name);
    else next.set(name, value);
  }
  history.replaceState(null, "", href(place.value.path, next));
  place.value = here();
}

export function startRouter(): void {
  addEventListener("popstate", () => {
    const before = place.value.path;
    place.value = here();
    if (place.value.path !== before) visits.value += 1;
  });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (link === null || link.target !== "" || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.pathname !== ROOT && !link.pathname.startsWith(`${ROOT}/`)) return;
    if (link.hash !== "" && link.pathname === location.pathname) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}
