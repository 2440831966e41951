"""The targets of bulk writes: inserts next to ``COPY``, updates next to Django."""

from collections.abc import Callable

from benches import names
from benches.report.quotient import quotient
from benches.report.run import Run
from benches.report.target import Target

type Measure = Callable[[Run], float | None]


def _over(table: str, shape: str, rows: int, over: str, under: str) -> Measure:
    def measure(run: Run) -> float | None:
        return quotient(*(run.time(table, shape, rows, each) for each in (over, under)))

    return measure


TARGETS = [
    Target(
        "`abulk_create()` of 5,000 narrow rows ÷ `COPY`",
        _over("narrow", "create", 5_000, names.TURBO, names.COPY),
        1.8,
        1.5,
    ),
    Target(
        "`abulk_create()` of 5,000 wide rows ÷ `COPY`",
        _over("wide", "create", 5_000, names.TURBO, names.COPY),
        2.5,
        1.5,
    ),
    Target(
        "`abulk_update()` of 1,000 wide rows, three fields, times as fast as Django async",
        _over("wide", "update of 3 fields", 1_000, names.DJANGO_ASYNC, names.TURBO),
        5,
        10,
        higher=True,
        form="{:.1f} ×",
    ),
]
