// Bars and sparklines: drawn with boxes and SVG, decoration beside the figures that they stand by.

interface BarProps {
  /** 0 to 1. */
  part: number;
  /** A further part behind the first, lighter: what is held. */
  also?: number;
  tone?: "accent" | "warn" | "bad";
}

export function Bar({ part, also = 0, tone = "accent" }: BarProps) {
  const width = Math.max(0, Math.min(1, part));
  return (
    <span class={`bar ${tone}`} aria-hidden="true">
      <i style={{ width: `${(100 * width).toFixed(2)}%` }} />
      {also > 0 && <i class="also" style={{ width: `${(100 * Math.min(1 - width, also)).toFixed(2)}%` }} />}
    </span>
  );
}

/** A share of a whole, in pieces side by side. */
export function Pieces({ parts }: { parts: { tint: string; part: number }[] }) {
  return (
    <span class="pieces" aria-hidden="true">
      {parts.filter(({ part }) => part > 0).map(({ tint, part }) => (
        <i key={tint} class={tint} style={{ flexGrow: String(part), minWidth: "3px" }} />
      ))}
    </span>
  );
}

const WIDTH = 100;
const HEIGHT = 28;

export function Spark({ values }: { values: (number | null)[] }) {
  const high = Math.max(...values.map((value) => value ?? 0), 0);
  if (values.length < 2 || high === 0) return <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true" />;
  const points = values.map((value, at) => {
    const x = (WIDTH * at) / (values.length - 1);
    const y = HEIGHT - 2 - ((HEIGHT - 5) * (value ?? 0)) / high;
    return `${x.toFixed(2)},${y.toFixed(2)}`;
  });
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <polygon points={`0,${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}`} />
      <polyline points={points.join(" ")} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
