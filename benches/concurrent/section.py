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

200 tasks get articles by their keys, one after the other, over a pool of twenty connections to a
PostgreSQL on the same machine. The pools of psycopg and asyncpg are as they come, psycopg's in
autocommit mode; both prepare statements. turbo-orm makes instances, with the statements of several
tasks on shared connections (`MULTIPLEX`) and without.
"""

_METHOD = """\
The rounds of each contender alternate with those over psycopg's pool, and the best rounds are
compared. The server's processor time is what the system says that the contender's backends have
computed, in alternating rounds, too. How long a statement takes is mostly the wait for the other
tasks: with and without a statement for which the server sleeps 200 ms, in alternating seconds.
Before that, what 400 statements find at once is compared with what Django does.
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
