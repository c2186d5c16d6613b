// Colours by their names in the style sheet, resolved for the canvas, which knows no variables.

const SERIES = 8;

/** The tint of the group of that rank; "others" beyond those there are. */
export function tint(rank: number): string {
  return rank < SERIES ? `series-${rank + 1}` : "series-others";
}

/** The colour as it is shown now: rgb(...). */
export function colour(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const shown = getComputedStyle(probe).color;
  probe.remove();
  return shown;
}
