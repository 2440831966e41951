"""The part of docs/benchmarks.md that is about the way to a distant server, with its plot."""

from collections.abc import Iterator
from pathlib import Path

from benches.report.round_trips import tables
from benches.report.run import Run
from benches.report.section import paragraphs

SUITE = "round_trips"
_PLOT = "round-trips.svg"

_INTRODUCTION = """\
## The way to the server

The same server with a round trip of some milliseconds in between: twenty books with their tags,
chapters and notes by `prefetch_related("tags", "chapters", "notes")`, and a transaction of five
statements that are independent of each other: two reads, an insert, and two updates. psycopg
executes the statements that Django does, one after the other.
"""

_METHOD = """\
A proxy, in a process of its own, lets pass in each direction what has arrived half a round trip
ago, however much that is. It takes some time itself, which is all that there is with 0 ms. A round
trip begins whenever the client sends something after it has received something. The rounds of each
contender alternate with psycopg's, and the best rounds are compared. Before that, answers, and
what is left in the tables, are compared with those of Django.
"""


def section(run: Run, folder: str) -> Iterator[str]:
    """Yield the paragraphs. Plots are in a folder beside the page."""
    plot = f"![Time by that of a round trip]({folder}/{_PLOT})"
    yield from paragraphs([run], _INTRODUCTION, plot, tables(run))
    yield _METHOD.strip()


def draw(run: Run, folder: Path) -> None:
    """Draw the plot."""
    # matplotlib is not needed to write the text.
    from benches.report.plots_of_waiting import plot_distances

    plot_distances(run, folder / _PLOT)
