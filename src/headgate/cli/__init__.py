"""The command line. Each command is one file with a `register(app)`; heavy imports wait until a command runs.

serve.py   the gateway
demo.py    the gateway against recorded providers, to watch
meter.py   read the usage of a recorded response
tail.py    exchanges as they end (following.py: each once; lines.py: as lines)
usage.py   what was used, from the store (charts.py: drawn over time)
export.py  all records as CSV, JSON lines or Parquet (parquet.py)
prune.py   remove old records
prices.py  the price book: show, check, update, import
account.py accounts: open, close, check the books
credit.py  pay in, correct, history
key.py     virtual keys: create, show, revoke
budget.py  budgets: set, remove, list
audit.py   who did what; what was said

desk.py     what the last four share
source.py   what those that only read share
files.py    a file that is whole or not there
plot.py     numbers over time, drawn with letters
progress.py how far a long command has come, on a terminal
"""

import sys

import typer

from headgate.cli import account, audit, budget, credit, demo, export, key, meter, prices, prune, serve, tail, usage
from headgate.errors import HeadgateError

app = typer.Typer(
    name="headgate", help="An LLM gateway whose numbers are right.", no_args_is_help=True, add_completion=False
)
for command in (serve, demo, meter, tail, usage, export, prune, prices, account, credit, key, budget, audit):
    command.register(app)


def main() -> None:
    """The `headgate` command. A HeadgateError ends it with its message and status 2; no traceback for the user."""
    try:
        app()
    except HeadgateError as error:
        typer.echo(f"headgate: {error.message}", err=True)
        sys.exit(2)
