"""The targets of single small operations: times next to psycopg's, calls, and memory."""

from collections.abc import Callable

from benches import names
from benches.report.quotient import quotient
from benches.report.run import Run
from benches.report.target import Target
from benches.small.composed.described import DESCRIBED

type Measure = Callable[[Run], float | None]


def _over_psycopg(operation: str) -> Measure:
    return lambda run: run.over_psycopg(operation, names.TURBO)


def _get_over_asyncpg(run: Run) -> float | None:
    # Each next to psycopg, whose rounds alternate with its own.
    return quotient(*(run.over_psycopg("aget", each) for each in (names.TURBO, names.ASYNCPG)))


def _python_calls(run: Run) -> float | None:
    return run.extra("python_calls", measured="Python calls", contender=names.TURBO)


def _megabytes(run: Run) -> float | None:
    size = run.extra("bytes", measured="memory of shapes", contender=names.TURBO)
    return None if size is None else size / 1e6


def _grown(run: Run) -> float | None:
    size = run.extra("bytes", measured="memory of lists", contender=names.TURBO)
    return None if size is None else size / 1e6


TARGETS = [
    Target("`aget()` by a key ÷ psycopg", _over_psycopg("aget"), 0.6, 0.5),
    Target("`aget()` by a key ÷ asyncpg", _get_over_asyncpg, 1.1, 0.9),
    Target("join, exclude, order, ten rows ÷ psycopg", _over_psycopg("join"), 0.75, 0.6),
    Target("twenty rows by a filter ÷ psycopg", _over_psycopg("alist"), 0.7, 0.55),
    Target("`acreate()` ÷ psycopg", _over_psycopg("acreate"), 0.7, 0.55),
    Target("`aupdate()` of one row ÷ psycopg", _over_psycopg("aupdate"), 0.7, 0.55),
    *(
        Target(f"{each.name}: {each.what} ÷ psycopg", _over_psycopg(each.name), *each[2:])
        for each in DESCRIBED
    ),
    Target("Python calls of an `aget()`", _python_calls, 40, 25, form="{:.0f}"),
    Target("memory of 1,000 shapes", _megabytes, 10, form="{:.1f} MB"),
    Target("what 1,000,000 lists of random length leave", _grown, 0.1, form="{:.1f} MB"),
]
