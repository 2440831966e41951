"""The targets, on the bare application: against Django's async methods, and raw psycopg.

Of Django's, those are compared that do as its own handler: a thread for each request, and a pool.
"""

from collections.abc import Callable

from benches import names
from benches.http.result import Cell, Result
from benches.report.target import Target

type Measure = Callable[[Result], float | None]

TURBO, DJANGO = names.TURBO, names.DJANGO_THREADS


def _quotient(over: float | None, under: float | None) -> float | None:
    return over / under if over is not None and under else None


def _faster(endpoint: str, clients: int) -> Measure:
    def measure(result: Result) -> float | None:
        ours, django = (
            result.median(Cell("bare", name, endpoint, clients), "rate")
            for name in (TURBO, DJANGO)
        )
        return _quotient(ours, django)

    return measure


def _share(endpoint: str, clients: int = 100) -> Measure:
    def measure(result: Result) -> float | None:
        ours, psycopg = (
            result.median(Cell("bare", name, endpoint, clients), "rate")
            for name in (TURBO, names.PSYCOPG)
        )
        share = _quotient(ours, psycopg)
        return None if share is None else share * 100

    return measure


def _less_waiting(clients: int) -> Measure:
    def measure(result: Result) -> float | None:
        ours, django = (
            result.median(Cell("bare", name, "get", clients), "p99") for name in (TURBO, DJANGO)
        )
        part = _quotient(ours, django)
        return None if part is None else (1 - part) * 100

    return measure


def _less_memory(result: Result) -> float | None:
    ours, django = (result.memory("bare", name, 1_000) for name in (TURBO, names.DJANGO_NO_POOL))
    part = _quotient(ours and sum(ours), django and sum(django))
    return None if part is None else (1 - part) * 100


def _target(what: str, measure: Measure, goal: float, form: str) -> Target:
    return Target(what, measure, goal, higher=True, form=form)


TARGETS = [
    _target("requests/s, get, 100 clients, ÷ Django a*", _faster("get", 100), 4, "{:.1f} ×"),
    _target("requests/s, get, 1,000 clients, ÷ Django a*", _faster("get", 1_000), 4, "{:.1f} ×"),
    _target("requests/s, get, share of psycopg's", _share("get"), 55, "{:.0f} %"),
    _target("requests/s, list, share of psycopg's", _share("list"), 60, "{:.0f} %"),
    _target("P99, get, 100 clients, less than Django a* by", _less_waiting(100), 70, "{:.0f} %"),
    _target(
        "P99, get, 1,000 clients, less than Django a* by", _less_waiting(1_000), 70, "{:.0f} %"
    ),
    _target(
        "memory, 1,000 clients, less than Django's without a pool by", _less_memory, 75, "{:.0f} %"
    ),
    _target(
        "requests/s, eight queries, 100 clients, ÷ Django a*", _faster("eight", 100), 4, "{:.1f} ×"
    ),
]
