"""How long operations take at some distance from the server, and how many round trips."""

from collections.abc import Iterable

from benches.report.quotient import quotient
from benches.report.run import Run

_MEASURED = "distant calls"


def operations(run: Run) -> list[str]:
    """Return the operations."""
    return run.distinct("operation", _MEASURED)


def distances(run: Run) -> list[float]:
    """Return the milliseconds of a round trip."""
    return run.distinct("round_trip", _MEASURED)


def contenders(run: Run, operation: str) -> list[str]:
    """Return the contenders of an operation."""
    return run.distinct("contender", _MEASURED, operation=operation)


def call(run: Run, operation: str, distance: float, contender: str) -> float | None:
    """Return the seconds that an operation takes a contender in its best round."""
    wanted = _wanted(operation, distance, contender)
    return quotient(run.extra("min", **wanted), run.extra("calls", **wanted))


def over_psycopg(run: Run, operation: str, distance: float, contender: str) -> float | None:
    """Return its time divided by that of psycopg, whose rounds alternated with its own."""
    wanted = _wanted(operation, distance, contender)
    return quotient(run.extra("min", **wanted), run.extra("psycopg", **wanted))


def round_trips(run: Run, operation: str, contender: str) -> float | None:
    """Return how many round trips it takes, counted where they take longest.

    There, all that is sent at once is on its way before anything comes back.
    """
    if not (found := distances(run)):
        return None
    return run.extra("round_trips", **_wanted(operation, max(found), contender))


def tables(run: Run) -> Iterable[tuple[str, list[list[str]]]]:
    """Return titles, and tables whose first rows are their heads."""
    for operation in operations(run):
        head = ["", "round trips", *(f"{distance:g} ms" for distance in distances(run))]
        rows = [
            [
                contender,
                _count(round_trips(run, operation, contender)),
                *(_cell(run, operation, distance, contender) for distance in distances(run)),
            ]
            for contender in contenders(run, operation)
        ]
        title = f"{operation.capitalize()}: milliseconds, by round trip, and ÷ psycopg"
        yield title, [head, *rows]


def _wanted(operation: str, distance: float, contender: str) -> dict[str, object]:
    return {
        "measured": _MEASURED,
        "operation": operation,
        "round_trip": distance,
        "contender": contender,
    }


def _count(number: float | None) -> str:
    return "" if number is None else f"{number:g}"


def _cell(run: Run, operation: str, distance: float, contender: str) -> str:
    seconds = call(run, operation, distance, contender)
    times = over_psycopg(run, operation, distance, contender)
    return "" if seconds is None or times is None else f"{seconds * 1e3:.2f} · {times:.2f} ×"
