// Names of keys. Two keys that are good at a time never share one, but a key may have that of one that was revoked or
// has expired; and sums by key are sums by its name.

interface Named {
  key_id: string;
  name: string;
}

/** What to call keys, by their ids: by their names, and their ids where names are shared. */
export function labelsOf(keys: readonly Named[]): Map<string, string> {
  const shared = sharedNames(keys);
  return new Map(keys.map((key) => [key.key_id, shared.has(key.name) ? `${key.name} (${key.key_id})` : key.name]));
}

export function sharedNames(keys: readonly Named[]): Set<string> {
  const seen = new Set<string>();
  return new Set(keys.map((key) => key.name).filter((name) => seen.has(name) || (seen.add(name), false)));
}
