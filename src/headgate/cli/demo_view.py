"""What `headgate demo` shows: the streams while they run, then what was metered."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from headgate.cli.demo_text import Kind, Listener, Words
from headgate.records import Ending, Record
from headgate.testing.replay import Recording
from headgate.usage import Basis, Usage

_LONGEST_ANSWER = 8
"""Lines of an answer that are printed where the output is no terminal."""
_STYLES = {Kind.SAID: "", Kind.THOUGHT: "dim italic", Kind.CODE: "cyan"}


@dataclass(slots=True)
class Play:
    """One request of the demo, and what has come back so far."""

    recording: Recording
    body: bytearray = field(default_factory=bytearray)
    words: Text = field(default_factory=Text)
    over: bool = False
    exchange_id: str | None = None
    """As the gateway named it in its answer's headers."""
    record: Record | None = None
    """What the gateway kept of it, read from the store."""
    _listener: Listener = field(init=False)
    _kind: Kind | None = None

    def __post_init__(self) -> None:
        self._listener = Listener(stream=self.recording.stream)

    def take(self, chunk: bytes) -> None:
        """Bytes came."""
        self.body += chunk
        self._say(self._listener.hear(chunk))

    def end(self) -> None:
        """No more bytes will come."""
        self.over = True
        self._say(self._listener.end())

    def _say(self, pieces: Sequence[Words]) -> None:
        for text, kind in pieces:
            if self._kind is not None and kind is not self._kind:
                self.words.append("\n")
            self.words.append(text, _STYLES[kind])
            self._kind = kind

    @property
    def exact(self) -> bool:
        """Every byte that the provider once sent came through, and the record says so too."""
        sent, came = self.recording.body, bytes(self.body)
        size = len(came)
        same = sha256(came).digest() == sha256(sent).digest()
        return same and self.record is not None and self.record.bytes_in == self.record.bytes_out == size

    @property
    def metered_right(self) -> bool:
        """The record holds the usage that the provider reported, all of it and nothing else."""
        if self.record is None:
            return False
        whole = self.record.ending is Ending.COMPLETE and self.record.reading.basis is Basis.REPORTED
        return whole and self.record.reading.usage == Usage(**self.recording.usage)

    @property
    def title(self) -> Text:
        """One line: which API, whose model, how far."""
        recording, size = self.recording, len(self.body)
        state = ("✓", "green") if self.over else ("…", "yellow")
        names = f" · {recording.provider} · {recording.model}"
        parts = " ", state, " ", (recording.dialect, "bold"), names, (f"  {size:,} B", "dim")
        return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


class Board:
    """All streams at once, each with the last lines of what it says; as high as the terminal allows."""

    def __init__(self, plays: Sequence[Play]) -> None:
        self.plays = plays

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw."""
        height = max(1, min(4, (console.height - 2) // len(self.plays) - 1))
        for play in self.plays:
            yield play.title
            yield from tail(play.words, console, options.max_width, height)


def tail(words: Text, console: Console, width: int, height: int) -> list[Text]:
    """The last `height` lines of a text, padded to that height."""
    lines = wrapped(words, console, width)[-height:]
    return lines + [Text()] * (height - len(lines))


def wrapped(words: Text, console: Console, width: int) -> list[Text]:
    """A text's lines, each behind a bar, blank ones left out."""
    lines = words.wrap(console, width - 4)
    for line in lines:
        line.rstrip()
    return [Text.assemble((" │ ", "dim"), line) for line in lines if line]


def print_answer(play: Play, console: Console) -> None:
    """Print a finished answer, for output that cannot be redrawn."""
    lines = wrapped(play.words, console, console.width)
    left = len(lines) - _LONGEST_ANSWER
    console.print(play.title, *lines[:_LONGEST_ANSWER], sep="\n")
    if left > 0:
        console.print(Text(f" │ ... and {left} more lines", "dim"))


def metered(plays: Sequence[Play]) -> Table:
    """The table of what was metered, from the records."""
    table = Table(
        title="Metered, as the store has it",
        caption="bytes ✓ as the provider sent them · usage ✓ all it reported, nothing else",
        box=box.SIMPLE_HEAD,
        padding=0,
        title_style="bold",
    )
    table.add_column("API · provider\n  model served", min_width=30, overflow="fold")
    for name in ("in", "cached", "out", "think", "first\nbyte", "bytes", "usage"):
        table.add_column(name, justify="right", no_wrap=True)
    for play in plays:
        table.add_row(*_row(play))
    return table


def _row(play: Play) -> list[str | Text]:
    record = play.record
    if record is None:
        return [
            Text.assemble((play.recording.dialect, "bold"), f" · {play.recording.provider}"),
            Text("no record", "red"),
        ]
    usage, first, model = record.reading.usage, record.first_byte_ns, record.reading.served_model
    counts = usage.input_tokens, usage.cache_read_tokens, usage.output_tokens, usage.reasoning_tokens
    return [
        Text.assemble((record.dialect or "-", "bold"), f" · {record.provider}\n", (f"  {model}", "dim")),
        *("-" if count is None else f"{count:,}" for count in counts),  # unknown is not zero
        f"{first / 1e6:,.0f} ms" if first is not None else "-",
        Text(f"{record.bytes_out:,} ") + _mark(good=play.exact),
        _mark(good=play.metered_right),
    ]


def _mark(*, good: bool) -> Text:
    return Text("✓", "bold green") if good else Text("✗", "bold red")
