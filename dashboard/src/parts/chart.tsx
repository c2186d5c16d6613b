// One chart over time, drawn by uPlot: columns on top of each other, or lines. What it shows can also be had as a table
// (chart-panel.tsx); to a screen reader it is a picture with a name.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

import type { Step } from "../api/types.ts";
import { dark } from "../app/theme.ts";
import { stepSeconds } from "../lib/span.ts";
import { groupAt, stacked, touched } from "../lib/stack.ts";
import { colour } from "./palette.ts";

export interface ChartGroup {
  label: string;
  /** The name of a colour of the style sheet, without its dashes: "series-1". */
  tint: string;
  /** One for each start; null is unknown. */
  values: (number | null)[];
}

export interface ChartData {
  starts: string[];
  step: Step;
  groups: ChartGroup[];
}

export interface Hover {
  at: number;
  group: number | null;
}

interface ChartProps {
  name: string;
  data: ChartData;
  form: "columns" | "lines";
  height?: number;
  axis: (value: number, step: number) => string;
  hover: (hover: Hover | null, left: number, width: number) => void;
  /** Buckets `first` to `last`, and the group that was clicked. */
  pick?: ((first: number, last: number, group: number | null) => void) | undefined;
}

/** Up to so many columns have room for a line between their parts. */
const ROOMY = 50;

export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const { data, form, height = 220, name } = props;
  const isDark = dark.value;
  useEffect(() => {
    const host = box.current;
    if (host === null) return;
    const plot = new uPlot(options(host.clientWidth, height, data, form, latest), table(data, form), host);
    const watch = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height }));
    watch.observe(host);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [data, form, height, isDark]);
  return <div ref={box} class="chart" role="img" aria-label={name} />;
}

function seconds(data: ChartData): number[] {
  return data.starts.map((start) => Date.parse(start) / 1000);
}

/** uPlot draws the first series first: the highest sums, so that each next one covers its part of them. */
function table(data: ChartData, form: "columns" | "lines"): uPlot.AlignedData {
  const values = data.groups.map((group) => group.values);
  const drawn: (number | null)[][] = form === "columns" ? stacked(values) : values.map((own) => [...own]);
  return [seconds(data), ...drawn.reverse()];
}

function options(
  width: number, height: number, data: ChartData, form: "columns" | "lines", latest: { current: ChartProps },
): uPlot.Options {
  const starts = seconds(data);
  const bars = uPlot.paths.bars?.({ align: 1, size: [0.84, 64], gap: 0 });
  const line = uPlot.paths.linear?.();
  const step = stepSeconds(data.step);
  return {
    width,
    height,
    legend: { show: false },
    padding: [10, 18, 0, 0],
    cursor: {
      y: false,
      points: { show: form === "lines" },
      drag: { x: latest.current.pick !== undefined, y: false, setScale: false, dist: 6 },
      dataIdx: (plot, _series, closest) =>
        form === "lines" ? closest : touched(starts, plot.posToVal(plot.cursor.left ?? 0, "x"), 0)[0],
    },
    scales: {
      x: { time: true, range: () => [starts[0] ?? 0, (starts.at(-1) ?? 1) + (form === "columns" ? step : 0)] },
      y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.06 : 1] },
    },
    axes: axes(latest, data.step),
    series: [
      {},
      ...data.groups
        .map((group) => ({
          label: group.label,
          stroke: form === "lines" ? colour(group.tint) : colour("panel"),
          width: form === "lines" ? 2 : starts.length <= ROOMY ? 1 : 0,
          fill: form === "columns" ? colour(group.tint) : undefined,
          paths: form === "columns" ? bars : line,
          points: { show: form === "lines" && starts.length < 3 },
        }) as uPlot.Series)
        .reverse(),
    ],
    hooks: hooks(data, form, starts, latest),
  };
}

function axes(latest: { current: ChartProps }, step: Step): uPlot.Axis[] {
  const font = "11.5px system-ui, sans-serif";
  const grid = { stroke: colour("grid"), width: 1 };
  return [
    {
      stroke: colour("muted"), font, grid: { show: false }, ticks: { ...grid, size: 4 }, gap: 5, size: 32, space: 72,
      values: (_plot, splits, _axis, _space, increment) => splits.map((at) => tick(at, increment, step)),
    },
    {
      stroke: colour("muted"), font, grid, ticks: { show: false }, gap: 6, size: 62, space: 38,
      values: (_plot, splits, _axis, _space, increment) => splits.map((value) => latest.current.axis(value, increment)),
    },
  ];
}

/** Days of the gateway are days in UTC. */
function tick(at: number, increment: number, step: Step): string {
  const moment = new Date(at * 1000);
  const zone = step === "day" ? { timeZone: "UTC" } : {};
  if (increment < 86_400) {
    const time = moment.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    if (time !== "00:00") return time;
  }
  return moment.toLocaleDateString("en-GB", { day: "numeric", month: "short", ...zone });
}

function hooks(
  data: ChartData, form: "columns" | "lines", starts: number[], latest: { current: ChartProps },
): uPlot.Hooks.Arrays {
  const sums = stacked(data.groups.map((group) => group.values));
  const under = (plot: uPlot): number | null => {
    const { idx, top } = plot.cursor;
    if (idx === null || idx === undefined || top === undefined) return null;
    return form === "columns" ? groupAt(sums, idx, plot.posToVal(top, "y")) : nearest(data, plot, idx, top);
  };
  return {
    setCursor: [
      (plot) => {
        const { idx, left } = plot.cursor;
        const inside = idx !== null && idx !== undefined && left !== undefined && left >= 0;
        const middle = inside ? plot.valToPos((starts[idx] ?? 0) + (form === "columns" ? stepSeconds(data.step) / 2 : 0), "x") : 0;
        const offset = plot.over.offsetLeft;
        latest.current.hover(inside ? { at: idx, group: under(plot) } : null, offset + middle, plot.width);
      },
    ],
    setSelect: [
      (plot) => {
        const { left, width } = plot.select;
        if (width < 4) return;
        const [first, last] = touched(starts, plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
        plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        latest.current.pick?.(first, last, null);
      },
    ],
    ready: [
      (plot) => {
        let pressedAt = 0;
        plot.over.addEventListener("mousedown", (event) => (pressedAt = event.clientX));
        plot.over.addEventListener("click", (event) => {
          const { idx } = plot.cursor;
          if (idx === null || idx === undefined || Math.abs(event.clientX - pressedAt) > 5) return;
          latest.current.pick?.(idx, idx, under(plot));
        });
        if (latest.current.pick !== undefined) plot.over.classList.add("pickable");
      },
    ],
  };
}

/** The line that passes within a few pixels. */
function nearest(data: ChartData, plot: uPlot, at: number, top: number): number | null {
  let best: number | null = null;
  let distance = 14;
  data.groups.forEach((group, i) => {
    const value = group.values[at];
    if (value === null || value === undefined) return;
    const away = Math.abs(plot.valToPos(value, "y") - top);
    if (away < distance) [best, distance] = [i, away];
  });
  return best;
}
