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

The time of a single small operation on one connection to a PostgreSQL on the same machine, with
different values each time. psycopg is configured in the same way as in Django, uses one cursor for
all operations, executes the SQL that Django generates, and returns tuples. turbo-orm calls the
whole chain of methods each time, and has had the statement in its cache since the first.
"""

_METHOD = """\
The rounds of each contender alternate with those of psycopg, so that both are measured under the
same conditions, and the best rounds are compared. psycopg also alternates with itself: the
difference of its ratio from 1 is the error of the other ratios. For operations with several
statements, psycopg executes the same statements as Django, in the same transactions, and fetches
their results. Before the measurement, the results and the contents of the tables are compared with
Django's. The column with uvloop is compared with psycopg on uvloop.
"""


def section(run: Run, writes: Run, folder: str) -> Iterator[str]:
    """Yield the paragraphs. Plots are in a folder beside the page."""
    plot = f"![Small operations, by contender]({folder}/{_PLOT})"
    yield from paragraphs([run, writes], _INTRODUCTION, plot, operations.tables(run))
    if sync := operations.sync_table(run):
        yield "### In sync code: time ÷ Django's"
        yield table(sync[0], sync[1:])
    yield _METHOD.strip()
    what = "\n".join(f"| {operation} | {operation.what} |" for operation in OPERATIONS)
    what += "".join(f"\n| {each.name} | {each.what} |" for each in DESCRIBED)
    yield f"| operation | what it does |\n|---|---|\n{what}"


def draw(run: Run, folder: Path) -> None:
    """Draw the plot."""
    # matplotlib is not needed to write the text.
    from benches.report.plots import plot_operations

    plot_operations(run, folder / _PLOT)
