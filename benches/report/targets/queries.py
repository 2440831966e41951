"""The targets: whole queries of 10,000 rows on one connection, memory, and the loop's turns."""

from collections.abc import Callable

from benches import names
from benches.report.quotient import quotient
from benches.report.run import Run
from benches.report.target import Target

ROWS = 10_000

type Measure = Callable[[Run], float | None]


def _over_received(table: str, shape: str) -> Measure:
    """Return a measure: turbo-orm's time in relation to that of receiving the rows."""
    return lambda run: run.over_received(table, shape, ROWS, names.TURBO)


def _over_psycopg(table: str, shape: str, other: str = names.PSYCOPG) -> Measure:
    """Return a measure: turbo-orm's time in relation to another's, that of psycopg's tuples."""

    def measure(run: Run) -> float | None:
        turbo, psycopg = (run.time(table, shape, ROWS, each) for each in (names.TURBO, other))
        return quotient(turbo, psycopg)

    return measure


def _faster(
    what: str,
    table: str,
    shape: str,
    goal: float,
    further: float | None = None,
    than: str = names.DJANGO_SYNC,
    contender: str = names.TURBO,
) -> Target:
    """Return the target that a contender is so many times as fast as another."""

    def measure(run: Run) -> float | None:
        other, own = (run.time(table, shape, ROWS, each) for each in (than, contender))
        return quotient(other, own)

    what = f"{what}, times as fast as {than}"
    return Target(what, measure, goal, further, higher=True, form="{:.1f} ×")


def _memory(measured: str) -> Measure:
    """Return a measure: turbo-orm's bytes for a narrow instance in relation to Django's."""

    def measure(run: Run) -> float | None:
        turbo, django = (
            run.extra("bytes_per_row", measured=measured, table="narrow", contender=each)
            for each in (names.TURBO, names.DJANGO_SYNC)
        )
        return quotient(turbo, django)

    return measure


def _memory_of_parts(run: Run) -> float | None:
    size = run.extra("megabytes", measured="memory of parts", contender=names.TURBO)
    return None if size is None else float(size)


def _longest_pause(run: Run) -> float | None:
    seconds = run.extra("longest_pause", measured="longest pause", contender=names.TURBO)
    return None if seconds is None else seconds * 1000


def _cost_of_turns(run: Run) -> float | None:
    times = (run.extra(name, measured="turns") for name in ("with_turns", "without_turns"))
    share = quotient(*times)
    return None if share is None else (share - 1) * 100


TARGETS = [
    Target(
        "narrow instances ÷ psycopg's tuples", _over_psycopg("narrow", "instances"), 0.85, 0.70
    ),
    Target("wide instances ÷ psycopg's tuples", _over_psycopg("wide", "instances"), 1.15, 1.00),
    Target(
        "narrow `values_list()` ÷ psycopg's tuples",
        _over_psycopg("narrow", "values_list()"),
        0.60,
        0.50,
    ),
    Target(
        "wide `select_related()` ÷ psycopg's tuples",
        _over_psycopg("wide", "select_related()"),
        0.75,
    ),
    *(
        Target(f"{table} {shape} ÷ rows that psycopg receives", measure, goal)
        for table, shape, goal in (
            ("narrow", "instances", 1.4),
            ("wide", "instances", 1.2),
            ("wide", "values()", 1.3),
            ("wide", "values_list()", 1.3),
            ("wide", "aiterator()", 1.3),
        )
        for measure in [_over_received(table, shape)]
    ),
    *(
        Target(f"{table} rows as JSON ÷ psycopg's and orjson", measure, 0.4, 0.3)
        for table in ("narrow", "wide")
        for measure in [_over_psycopg(table, "JSON", names.PSYCOPG_ORJSON)]
    ),
    *(
        Target(f"{table} rows as JSON ÷ Django's and its encoder", measure, 0.15, 0.1)
        for table in ("narrow", "wide")
        for measure in [_over_psycopg(table, "JSON", names.DJANGO_SYNC)]
    ),
    Target(
        "memory that a million rows take as JSON in parts",
        _memory_of_parts,
        20,
        form="{:.1f} MB",
    ),
    _faster("narrow instances", "narrow", "instances", 4, 5, than=names.DJANGO_ASYNC),
    _faster("wide instances", "wide", "instances", 2.7, 3.5, than=names.DJANGO_ASYNC),
    _faster("narrow `values()`", "narrow", "values()", 1.8, 2.2),
    _faster("wide `values()`", "wide", "values()", 2.2, 3),
    _faster("wide `select_related()`", "wide", "select_related()", 3, 4),
    _faster(
        "narrow instances, sync connection",
        "narrow",
        "instances",
        3.5,
        contender=names.TURBO_SYNC,
    ),
    Target("memory of a narrow instance ÷ Django's", _memory("memory"), 0.8),
    Target(
        "memory of a process with 200,000 narrow instances ÷ Django's",
        _memory("resident memory"),
        0.8,
    ),
    Target(
        "longest pause of the event loop, 200,000 wide rows",
        _longest_pause,
        10,
        5,
        form="{:.1f} ms",
    ),
    Target("time spent on its turns, 200,000 rows", _cost_of_turns, 3, form="{:.1f} %"),
]
