"""The table, the JSON, and the page in docs/. Pure, but for the two functions that write files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.figures import FIGURES, Figure, Results, Spread, ratios, shown, spread

_BEGIN, _END = "<!-- bench: begin -->", "<!-- bench: end -->"
_YARDSTICK = "nginx"
_MISSING = "-"


def table(results: Results, gateways: Sequence[str]) -> str:
    """The Markdown table: medians with least and most over the rounds, then each other gateway as a ratio to nginx."""
    columns = ("direct", *gateways)
    compared = [name for name in gateways if name != _YARDSTICK]
    head = ["", *columns, *(f"{name} / {_YARDSTICK}" for name in compared)]
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for figure in FIGURES:
        by_target = results.values.get(figure.key, {})
        cells = [_cell(figure, spread(shown(figure, by_target, name)), name) for name in columns]
        yardstick = _above_noise(figure, by_target)
        cells += [_ratio(spread(ratios(shown(figure, by_target, name), yardstick))) for name in compared]
        lines.append(_line([figure.label, *cells]))
    return "\n".join(lines)


def text(results: Results, gateways: Sequence[str], about: Mapping[str, str]) -> str:
    """The whole report in Markdown: what it was measured on, how noisy it was, the table, what went wrong."""
    lines = [f"- {key}: {value}" for key, value in {**about, "noise": noise(results)}.items()]
    lines += ["", table(results, gateways), "", *_remarks(results)]
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
        "right": results.right,
        "failures": results.failures,
        "metered": results.metered,
        "notes": results.notes,
    }
    return json.dumps(told, indent=2) + "\n"


def with_report(page: str, report: str) -> str:
    """The page with the report between its markers. Raises ValueError if it does not have both, once, in order."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end) or _BEGIN in after or _END in after:
        raise ValueError(f"the page must have {_BEGIN} and then {_END}, each once")
    return f"{before}{_BEGIN}\n\n{report.strip()}\n\n{_END}{after}"


def write_json(folder: Path, content: str) -> Path:
    """Keep the JSON as the latest result."""
    path = folder / "latest.json"
    path.write_text(content)
    return path


def write_page(path: Path, report: str) -> None:
    """Put the report into the page."""
    path.write_text(with_report(path.read_text(), report))


def _above_noise(figure: Figure, by_target: Mapping[str, Sequence[float | None]]) -> Sequence[float | None]:
    """What nginx adds, without the rounds in which it is so little that a ratio to it would say nothing."""
    values = shown(figure, by_target, _YARDSTICK)
    if not figure.over_direct:
        return values
    return [
        added if added is not None and base is not None and added > base / 10 else None
        for added, base in zip(values, by_target.get("direct", []), strict=False)
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(figure: Figure, over_rounds: Spread | None, target: str) -> str:
    if over_rounds is None:
        return _MISSING
    number = f",.{figure.digits}f"
    median, least, most = (format(v, number) for v in (over_rounds.median, over_rounds.least, over_rounds.most))
    plain = f"{median} ({least} to {most})"
    return f"base {plain}" if figure.over_direct and target == "direct" else plain


def _ratio(over_rounds: Spread | None) -> str:
    if over_rounds is None:
        return _MISSING
    return f"**{over_rounds.median:.2f}** ({over_rounds.least:.2f} to {over_rounds.most:.2f})"


def _remarks(results: Results) -> list[str]:
    answers = ", ".join(f"{name} {count:,}" for name, count in results.right.items())
    wrong = [
        f"- {name}: {count} wrong or broken answers, not counted" for name, count in results.failures.items() if count
    ]
    metered = ", ".join(f"{name} {count:,}" for name, count in results.metered.items())
    right = f"Answers checked byte for byte and right: {answers}. Of them metered and recorded: {metered}."
    return [right, *wrong, *(f"- {note}" for note in results.notes)]
