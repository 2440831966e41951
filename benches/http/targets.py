"""The targets: of a bare application, and of a request behind Django's handler.

Of Django's async methods, those are compared that do as its own handler: a thread for each
request, and a pool.
"""

from collections.abc import Callable

from benches import names
from benches.http.endpoints import JOINED_JSON, JSON, NO_QUERY, SERIALIZED, SLOW
from benches.http.result import Cell, Result
from benches.report.target import Target

type Measure = Callable[[Result], float | None]
# An application and a contender.
type Server = tuple[str, str]

TURBO, DJANGO = names.TURBO, names.DJANGO_THREADS


def _quotient(over: float | None, under: float | None) -> float | None:
    return over / under if over is not None and under else None


def _times(ours: Server, theirs: Server, endpoint: str = "get", clients: int = 100) -> Measure:
    """Return the measure of how many times as fast a server is as another."""

    def measure(result: Result) -> float | None:
        rates = (
            result.median(Cell(*server, endpoint, clients), "rate") for server in (ours, theirs)
        )
        return _quotient(*rates)

    return measure


def _faster(endpoint: str, clients: int) -> Measure:
    return _times(("bare", TURBO), ("bare", DJANGO), endpoint, clients)


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


def _over(what: str, endpoint: str, theirs: Cell, *goals: float) -> list[Target]:
    """Return the targets of the rate over another one: of turbo-orm as it is, and sharing."""

    def measure(contender: str) -> Measure:
        ours = Cell("bare", contender, endpoint, theirs.clients)
        return lambda result: _quotient(*(result.median(each, "rate") for each in (ours, theirs)))

    return [
        Target(f"requests/s, {name}, {what}", measure(name), *goals, higher=True, form="{:.2f} ×")
        for name in (TURBO, names.TURBO_MULTIPLEX)
    ]


def _of_json(what: str, theirs: str, endpoint: str, *goals: float) -> list[Target]:
    """Return the target of the rate at an endpoint over another's: of turbo-orm as it is."""
    return _over(what, endpoint, Cell("bare", theirs, endpoint, 100), *goals)[:1]


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
    *_over(
        "eight queries, 100 clients, ÷ psycopg",
        "eight",
        Cell("bare", names.PSYCOPG, "eight", 100),
        2.5,
        4,
    ),
    *_over("get, 1,000 clients, ÷ psycopg", "get", Cell("bare", names.PSYCOPG, "get", 1_000), 1.6),
    *_over("get, 1,000 clients, ÷ asyncpg", "get", Cell("bare", names.ASYNCPG, "get", 1_000), 1.4),
    *_of_json("list of 100 as JSON, ÷ psycopg and json.dumps", names.PSYCOPG, JSON, 1.7, 2.5),
    *_of_json("list of 100 as JSON, ÷ psycopg and orjson", names.PSYCOPG_ORJSON, JSON, 1.4),
    *_of_json("joined list of 100 as JSON, ÷ yara-orm", names.YARA, JOINED_JSON, 1.8, 2.5),
    *_over(
        "get, 100 clients, ÷ without a query", "get", Cell("bare", TURBO, NO_QUERY, 100), 0.6, 0.8
    ),
]


def _behind(contender: str) -> Server:
    return "startproject", contender


_CROWDED = Cell(*_behind(names.TURBO_SYNC_VIEWS), "get", 1_000)
# All wait at once, so that each of the threads is there.
_WAITING = _CROWDED._replace(endpoint=SLOW)


def _errors(result: Result) -> float | None:
    return None if result.median(_CROWDED, "rate") is None else result.errors(_CROWDED)


_THREADS = _WAITING._replace(contender=names.DJANGO_1000_THREADS)


def _part_of_memory(what: str) -> Measure:
    def measure(result: Result) -> float | None:
        part = _quotient(*(result.median(cell, what) for cell in (_WAITING, _THREADS)))
        return None if part is None else part * 100

    return measure


def _against(
    what: str, ours: Server, theirs: Server, goal: float, further: float, endpoint: str = "get"
) -> Target:
    measure = _times(ours, theirs, endpoint)
    return Target(what, measure, goal, further, higher=True, form="{:.2f} ×")


HANDLER_TARGETS = [
    _against(
        "`aget()`, startproject's middleware, ÷ Django's handler and a*",
        _behind(names.TURBO_HANDLER),
        _behind(DJANGO),
        6,
        9,
    ),
    _against(
        "`aget()`, startproject's middleware, ÷ `get()` in gunicorn's threads",
        _behind(names.TURBO_HANDLER),
        _behind(names.DJANGO_SYNC),
        3,
        5,
    ),
    _against(
        "`aget()`, no middleware, ÷ a bare ASGI application",
        ("django", names.TURBO_HANDLER),
        ("bare", TURBO),
        0.55,
        0.75,
    ),
    _against(
        "`get()` in a sync view on the bridge ÷ gunicorn's threads",
        _behind(names.TURBO_SYNC_VIEWS),
        _behind(names.DJANGO_SYNC),
        1.8,
        3,
    ),
    _against(
        "a list of REST framework on the bridge ÷ gunicorn's threads",
        _behind(names.TURBO_SYNC_VIEWS),
        _behind(names.DJANGO_SYNC),
        1.5,
        2,
        SERIALIZED,
    ),
    Target("`get()` on the bridge, 1,000 clients: errors", _errors, 0, form="{:.0f}"),
    Target(
        "memory that 1,000 requests add that wait at once, of what they add to as many threads",
        _part_of_memory("grown"),
        100 / 3,
        form="{:.0f} %",
    ),
    Target(
        "the same: memory of the server as a whole, of that with threads",
        _part_of_memory("server"),
        100,
        form="{:.0f} %",
    ),
]
