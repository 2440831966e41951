"""The part of docs/benchmarks.md that is about the way to a distant server, with its plot."""

from collections.abc import Iterator
from pathlib import Path

from benches.report.round_trips import tables
from benches.report.run import Run
from benches.report.section import paragraphs

SUITE = "round_trips"
_PLOT = "round-trips.svg"

_INTRODUCTION = """\
## A distant server

The same server, at a distance of some milliseconds per round trip: reading twenty books with their
tags, chapters and notes by `prefetch_related("tags", "chapters", "notes")`, and a transaction of
five independent statements: two reads, an insert, and two updates. psycopg executes the same
statements as Django, one after the other.
"""

_METHOD = """\
A proxy in a separate process delays everything by half a round trip in each direction, however
much data that is. The proxy takes some time itself, which is the only delay with 0 ms. A round
trip begins whenever the client sends something after it has received something. The rounds of
each contender alternate with those of psycopg, and the best rounds are compared. Before the
measurement, the results and the contents of the tables are compared with Django's.
"""


def section(run: Run, folder: str) -> Iterator[str]:
    """Yield the paragraphs. Plots are in a folder beside the page."""
    plot = f"![Time, by the duration of a round trip]({folder}/{_PLOT})"
    yield from paragraphs([run], _INTRODUCTION, plot, tables(run))
    yield _METHOD.strip()


def draw(run: Run, folder: Path) -> None:
    """Draw the plot."""
    # matplotlib is not needed to write the text.
    from benches.report.plots_of_waiting import plot_distances

    plot_distances(run, folder / _PLOT)
