"""The part of docs/benchmarks.md that is about small operations, with its plot."""

from collections.abc import Iterator
from pathlib import Path

from benches.report import operations
from benches.report.run import Run
from benches.report.section import paragraphs
from benches.report.table import table
from benches.small.composed.described import DESCRIBED
from benches.small.operations import OPERATIONS

_PLOT = "small.svg"

_INTRODUCTION = """\
## Small operations

What a single small operation takes on one connection to a PostgreSQL on the same machine, each
with values of its own. psycopg is configured as Django does, keeps one cursor, executes the SQL
that Django writes, and returns tuples. turbo-orm goes through the whole chain of methods each
time, and has the statement in its cache since the first.
"""

_METHOD = """\
The rounds of each contender alternate with psycopg's, so that both see the same machine, and
the best rounds are compared. psycopg alternates with itself, too: how far that is from 1 is the
error of the other figures. For operations of several statements, psycopg executes those that
Django does, in the same transactions, and fetches what they return. Before that, answers, and
what is left in the table, are compared with those of Django. With uvloop, psycopg runs on it, too.
"""


def section(run: Run, writes: Run, folder: str) -> Iterator[str]:
    """Yield the paragraphs. Plots are in a folder beside the page."""
    plot = f"![Small operations, by contender]({folder}/{_PLOT})"
    yield from paragraphs([run, writes], _INTRODUCTION, plot, operations.tables(run))
    if sync := operations.sync_table(run):
        yield "### In sync code: times as long as Django"
        yield table(sync[0], sync[1:])
    yield _METHOD.strip()
    what = "\n".join(f"| {operation} | {operation.what} |" for operation in OPERATIONS)
    what += "".join(f"\n| {each.name} | {each.what} |" for each in DESCRIBED)
    yield f"| operation |  |\n|---|---|\n{what}"


def draw(run: Run, folder: Path) -> None:
    """Draw the plot."""
    # matplotlib is not needed to write the text.
    from benches.report.plots import plot_operations

    plot_operations(run, folder / _PLOT)
