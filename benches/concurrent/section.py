"""The part of docs/benchmarks.md that is about many tasks and few connections, with its plot."""

from collections.abc import Iterator
from pathlib import Path

from benches.report.concurrent import tables
from benches.report.run import Run
from benches.report.section import paragraphs

SUITE = "concurrent"
_PLOT = "concurrent.svg"

_INTRODUCTION = """\
## Many tasks, few connections

200 tasks get articles by their keys, one after the other, using a pool of twenty connections to a
PostgreSQL on the same machine. The pools of psycopg and asyncpg have their default settings,
except that psycopg's is in autocommit mode; both prepare statements. turbo-orm creates model
instances, with and without sharing connections between the statements of several tasks
(`MULTIPLEX`).
"""

_METHOD = """\
The rounds of each contender alternate with those of psycopg's pool, and the best rounds are
compared. The server's CPU time is that of the contender's backends, as reported by the operating
system, also in alternating rounds. The duration of a statement is mostly the time that it waits
for the other tasks: it is measured with and without a statement that makes the server sleep for
200 ms, in alternating seconds. Before the measurement, the results of 400 concurrent statements
are compared with Django's.
"""


def section(run: Run, folder: str) -> Iterator[str]:
    """Yield the paragraphs. Plots are in a folder beside the page."""
    plot = f"![200 tasks over twenty connections, by contender]({folder}/{_PLOT})"
    yield from paragraphs([run], _INTRODUCTION, plot, tables(run))
    yield _METHOD.strip()


def draw(run: Run, folder: Path) -> None:
    """Draw the plot."""
    # matplotlib is not needed to write the text.
    from benches.report.plots_of_waiting import plot_statements

    plot_statements(run, folder / _PLOT)
