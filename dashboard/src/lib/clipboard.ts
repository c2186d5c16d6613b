// Copying text. Browsers give pages over plain http no clipboard, but for those of the machine itself; there the older
// way is left, which copies what is marked.

/** Whether it was copied. `beside` is where in the page it is asked for: a dialog lets nothing outside it be marked. */
export async function copied(text: string, beside: Element): Promise<boolean> {
  if (navigator.clipboard === undefined) return marked(text, beside);
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return marked(text, beside); // without leave to write
  }
}

function marked(text: string, beside: Element): boolean {
  const field = document.createElement("textarea");
  field.className = "hidden";
  field.value = text;
  beside.append(field);
  field.select();
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    field.remove();
  }
}
