"""The table, the JSON, and the page in docs/. Pure, but for the two functions that write files."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import goals
from bench.figures import FIGURES, Figure, Results, Spread, ratios, shown, spread

_YARDSTICK = "nginx"
_MISSING = "-"


def table(results: Results, gateways: Sequence[str]) -> str:
    """The figures in Markdown: medians with least and most over the rounds. Rows that nobody has are left out."""
    columns = ("direct", *gateways)
    rows = [_row(results, figure, columns) for figure in FIGURES if figure.key in results.values]
    return _table(columns, rows)


def _row(results: Results, figure: Figure, columns: Sequence[str]) -> list[str]:
    by_target, fewer = results.values[figure.key], results.lanes.get(figure.key, {})
    cells = [_cell(figure, spread(shown(figure, by_target, name)), name) for name in columns]
    notes = [f", at {fewer[name]}" if name in fewer else "" for name in columns]
    return [figure.label, *(cell + note for cell, note in zip(cells, notes, strict=True))]


def ratio_table(results: Results, gateways: Sequence[str]) -> str:
    """Each other gateway as a multiple of nginx, round by round, where that means anything."""
    compared = [name for name in gateways if name != _YARDSTICK]
    rows = []
    for figure in FIGURES:
        by_target = results.values.get(figure.key, {})
        yardstick = _above_noise(figure, by_target)
        cells = [_ratio(spread(ratios(shown(figure, by_target, name), yardstick))) for name in compared]
        if any(cell != _MISSING for cell in cells):
            rows.append([figure.label, *cells])
    return _table([f"{name} / {_YARDSTICK}" for name in compared], rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join([line(["", *columns]), line(["---", *["---:"] * len(columns)]), *map(line, rows)])


def text(results: Results, gateways: Sequence[str], about: Mapping[str, str]) -> str:
    """The whole report in Markdown: the machine, its noise, the tables, the goals, what went wrong."""
    lines = [f"- {key}: {value}" for key, value in {**about, "noise": noise(results)}.items()]
    lines += ["", table(results, gateways), "", "As multiples of nginx:", "", ratio_table(results, gateways), ""]
    lines += ["The goals:", "", goals.table(results), "", *remarks(results)]
    return "\n".join(lines)


def noise(results: Results) -> str:
    """How far `direct`, which does the same work in every round, differs between rounds."""
    direct = spread(results.values.get("rps_c10", {}).get("direct", []))
    if direct is None:
        return "unknown: direct was not measured"
    return f"direct's requests/s at 10 connections spread over {(direct.most - direct.least) / direct.median:.0%}"


def as_json(results: Results, about: Mapping[str, str]) -> str:
    """Every value of every round, as measured: latencies are those of the target itself, not over direct."""
    told = {
        "about": dict(about),
        "values": results.values,
        "lanes": results.lanes,
        "right": results.right,
        "failures": results.failures,
        "metered": results.metered,
        "notes": results.notes,
    }
    return json.dumps(told, indent=2) + "\n"


def from_json(content: str) -> tuple[Results, dict[str, str]]:
    """What `as_json` wrote."""
    told = json.loads(content)
    counts = {name: Counter(told[name]) for name in ("right", "failures", "metered")}
    return Results(told["values"], told.get("lanes", {}), **counts, notes=told["notes"]), told["about"]


def with_report(page: str, report: str, name: str = "bench") -> str:
    """The page with the report between its markers. Raises ValueError if it does not have both, once, in order."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, begun, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not (begun and ended) or begin in after or end in after:
        raise ValueError(f"the page must have {begin} and then {end}, each once")
    return f"{before}{begin}\n\n{report.strip()}\n\n{end}{after}"


def write_json(folder: Path, content: str, name: str = "latest.json") -> Path:
    """Keep the JSON."""
    path = folder / name
    path.write_text(content)
    return path


def write_page(path: Path, report: str, name: str = "bench") -> None:
    """Put the report into the page."""
    path.write_text(with_report(path.read_text(), report, name))


def cell(values: Sequence[float | None], digits: int) -> str:
    """Values over the rounds, as a cell."""
    over_rounds = spread(values)
    return _MISSING if over_rounds is None else _spread(over_rounds, f",.{digits}f")


def _above_noise(figure: Figure, by_target: Mapping[str, Sequence[float | None]]) -> Sequence[float | None]:
    """What nginx adds, without the rounds in which it is so little that a ratio to it would say nothing."""
    values = shown(figure, by_target, _YARDSTICK)
    if not figure.over_direct:
        return values
    return [
        added if added is not None and base is not None and added > base / 10 else None
        for added, base in zip(values, by_target.get("direct", []), strict=False)
    ]


def line(cells: Sequence[str]) -> str:
    """A row."""
    return f"| {' | '.join(cells)} |"


def _cell(figure: Figure, over_rounds: Spread | None, target: str) -> str:
    if over_rounds is None:
        return _MISSING
    plain = _spread(over_rounds, f",.{figure.digits}f")
    return f"base {plain}" if figure.over_direct and target == "direct" else plain


def _ratio(over_rounds: Spread | None) -> str:
    if over_rounds is None:
        return _MISSING
    return _spread(over_rounds, ".2f", "**")


def _spread(over_rounds: Spread, number: str, stress: str = "") -> str:
    """The median with least and most; alone where they do not differ, as in a single round."""
    median, least, most = (format(v, number) for v in (over_rounds.median, over_rounds.least, over_rounds.most))
    told = f"{stress}{median}{stress}"
    return told if least == most else f"{told} ({least} to {most})"


def remarks(results: Results) -> list[str]:
    """How many answers were right, and what went wrong."""
    answers = ", ".join(f"{name} {count:,}" for name, count in results.right.items())
    wrong = [
        f"- {name}: {count} wrong or broken answers, not counted" for name, count in results.failures.items() if count
    ]
    metered = ", ".join(f"{name} {count:,}" for name, count in results.metered.items())
    right = f"Right answers: {answers}. Of them metered and recorded: {metered}."
    return [right, *wrong, *(f"- {note}" for note in results.notes)]
