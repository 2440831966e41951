"""What 200 tasks get of twenty connections: statements, and what waits and the server compute."""

from collections.abc import Iterable

from benches import names
from benches.report.quotient import quotient
from benches.report.run import Run

#: Whose figures are those of the targets.
OURS = names.TURBO_MULTIPLEX

_STATEMENTS, _WAITS = "statements", "waits"


def rate(run: Run, loop: str, contender: str) -> float | None:
    """Return the statements a second of a contender's best round."""
    wanted = {"measured": _STATEMENTS, "loop": loop, "contender": contender}
    return quotient(run.extra("statements", **wanted), run.extra("min", **wanted))


def over_psycopg(run: Run, loop: str, contender: str) -> float | None:
    """Return how many times as many they are as over psycopg's pool, in alternating rounds."""
    wanted = {"measured": _STATEMENTS, "loop": loop, "contender": contender}
    return quotient(run.extra("psycopg", **wanted), run.extra("min", **wanted))


def processor_time(run: Run, loop: str, contender: str) -> float | None:
    """Return the seconds that PostgreSQL's backends compute for a statement."""
    return run.extra("cpu", measured=_STATEMENTS, loop=loop, contender=contender)


def processor_time_over_psycopg(run: Run, loop: str, contender: str) -> float | None:
    """Return it divided by that over psycopg's pool, in alternating rounds."""
    wanted = {"measured": _STATEMENTS, "loop": loop, "contender": contender}
    return quotient(run.extra("cpu", **wanted), run.extra("psycopg_cpu", **wanted))


def waits(run: Run, contender: str) -> tuple[float | None, float | None]:
    """Return the P99 of quick statements: without a slow one each second, and with one."""
    without, with_slow = (
        run.extra(name, measured=_WAITS, contender=contender)
        for name in ("p99_without", "p99_with")
    )
    return without, with_slow


def loops(run: Run) -> list[str]:
    """Return the kinds of event loop."""
    return run.distinct("loop", _STATEMENTS)


def contenders(run: Run) -> list[str]:
    """Return the contenders."""
    return run.distinct("contender", _STATEMENTS)


def tables(run: Run) -> Iterable[tuple[str, list[list[str]]]]:
    """Return titles, and tables whose first rows are their heads."""
    for loop in loops(run):
        head = [
            "",
            "statements per second",
            "÷ psycopg's pool",
            "the server's CPU time, µs per statement",
            "÷ psycopg's pool",
        ]
        rows = [
            [
                name,
                _cell(rate(run, loop, name), "{:,.0f}"),
                _cell(over_psycopg(run, loop, name)),
                _cell(processor_time(run, loop, name), "{:.1f}", 1e6),
                _cell(processor_time_over_psycopg(run, loop, name)),
            ]
            for name in contenders(run)
        ]
        yield f"200 tasks, twenty connections, {loop}", [head, *rows]
    if found := run.distinct("contender", _WAITS):
        head = ["", "P99, ms", "P99 with a 200 ms statement each second, ms", "÷ without"]
        yield "Duration of a statement", [head, *(_waits(run, name) for name in found)]


def _waits(run: Run, contender: str) -> list[str]:
    without, with_slow = waits(run, contender)
    return [
        contender,
        _cell(without, "{:.1f}", 1e3),
        _cell(with_slow, "{:.1f}", 1e3),
        _cell(quotient(with_slow, without)),
    ]


def _cell(value: float | None, form: str = "{:.2f}", unit: float = 1) -> str:
    return "" if value is None else form.format(value * unit)
