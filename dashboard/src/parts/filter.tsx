// A field of a filter that lives in the address: what is being typed is kept, whatever is drawn anew meanwhile.

import { useEffect, useState } from "preact/hooks";

import { setQuery } from "../app/router.ts";

interface FilterProps {
  /** Of the parameter. */
  name: string;
  label: string;
  value: string;
  /** Takes each letter at once, rather than the whole when it is done. */
  eager?: boolean;
  /** Names to choose from. */
  known?: readonly string[] | undefined;
}

export function FilterField({ name, label, value, eager = false, known }: FilterProps) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const list = `known-${name}`;
  const typed = (next: string) => {
    setText(next);
    if (eager) setQuery({ [name]: next.trim() });
  };
  return (
    <label class={value === "" ? "" : "set"}>
      {label}
      <input
        type="search"
        value={text}
        placeholder="any"
        spellcheck={false}
        autocomplete="off"
        list={known === undefined ? undefined : list}
        onInput={(event) => typed(event.currentTarget.value)}
        onChange={(event) => setQuery({ [name]: event.currentTarget.value.trim() })}
      />
      {known !== undefined && <datalist id={list}>{known.map((own) => <option key={own} value={own} />)}</datalist>}
    </label>
  );
}
