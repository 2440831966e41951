"""The part of docs/benchmarks.md that is about servers, with its plots."""

from collections.abc import Iterator
from pathlib import Path

from benches.http.endpoints import AUTHORS, ENDPOINTS, ENTRIES
from benches.http.result import Cell, Result
from benches.http.targets import HANDLER_TARGETS, TARGETS
from benches.report.provenance import provenance
from benches.report.table import table
from benches.report.target import Target

_APPLICATIONS = {
    "startproject": "startproject's middleware",
    "django": "Django's handler, no middleware",
    "bare": "A bare ASGI application",
}

_INTRODUCTION = """\
## Behind a server

`make bench-http` starts a PostgreSQL server. For each contender in turn, it starts an HTTP server
in front of it, checks that all contenders send the same responses, and measures them under load.
"""

_METHOD = """\
### How the servers are measured

The HTTP server is one process of [uvicorn](https://www.uvicorn.org) with uvloop and httptools.
The load generator, [wrk](https://github.com/wg/wrk), keeps a given number of connections open,
and sends a request on each of them as soon as it has received the previous response. It runs on
the same machine, as does PostgreSQL. No process is bound to a CPU core: threads suffer from
several cores, as they do on any machine that has them. Each contender has {pool} connections to
PostgreSQL, which are all open from the beginning; *Django sync* has the same number of gunicorn
threads instead, with a connection each. Keys are random. Each contender is started {rounds}, in
turn with the others, warmed up, and loaded at each endpoint for {seconds}; the tables show the
median. Before that, its responses are compared with those of psycopg; afterwards, a check looks
for transactions that were only half written.

| endpoint | response, as JSON |
|---|---|
{endpoints}

There are {entries:,} entries with five columns and {authors} authors with three. A *bare*
application only parses the path, queries, and sends the response. *Django's handler* is what
Django's `get_asgi_application()` returns or, for contenders that say so, the one of
`turbo_orm.asgi`, with one route and no middleware. *startproject's middleware* is the same with
the apps and the middleware of a project created by `django-admin startproject`. Requests have no
cookies, so neither sessions nor users are loaded.

| contender | how it is set up |
| --- | --- |
{contenders}
"""

_CONTENDERS = {
    "turbo-orm": "a pool",
    "turbo-orm, MULTIPLEX 2": "the same; two of its connections are shared by the statements of "
    "several tasks",
    "turbo-orm, patched": "a pool, with [`PATCH_DJANGO`](patching.md)",
    "turbo-orm, its handler": "with [the handler of `turbo_orm.asgi`](requests.md) and default "
    "settings",
    "turbo-orm, sync views": 'the same handler with `"SYNC_VIEWS": "bridge"`: the views of Django '
    "sync, in the event loop",
    "Django sync": "WSGI: gunicorn with threads, persistent connections",
    "Django sync, 1,000 threads": "the same with a thread for each client, and Django's pool",
    "Django a*": "Django's async methods, which run in a thread: one for each request, as in "
    "Django's handler, with Django's pool",
    "Django a*, one thread": "all requests in one thread and on one connection, which is what a "
    "bare application gets without Django's handler",
    "Django a*, no pool": "Django's default: each request opens a connection",
    "django-async-backend": "its own ORM, with its pool",
    "psycopg, asyncpg": "a pool and SQL; rows become plain dicts",
    "yara-orm, SQLAlchemy, Tortoise, Piccolo": "as in their documentation; the last three "
    "with asyncpg",
}

#: The end of the page.
NOT_CLAIMED = """\
## What is not claimed

- That your site gets faster by these factors. A request that spends its time in templates, other
  services or slow queries has little to gain. In Django's handler, with its signals, its request
  and its response, the ORM is the smaller part of a short request.
- That the results are the same on another machine, network or PostgreSQL. Here PostgreSQL runs on
  the same machine, is reached by a socket, has everything in memory and flushes nothing to disk.
  So the time of a network round trip is missing, and that is where async code gains most.
- That your clients behave like wrk, which never pauses. With that many clients, each server is
  fully loaded, and the time of a response is mostly the time in the queue.
- That P99 with 1,000 clients is the time of a response. wrk opens all connections at once, and
  uvloop accepts one in each iteration of the event loop. In a server that already has hundreds of
  requests in progress, the last connections are accepted after seconds: in one run, 500 of them
  within a second and the last one after five. A proxy in front of a server keeps its connections
  open.
- That one process is what you would run. Several processes share the CPU cores of the machine,
  and multiply both rate and memory.
- That small differences are significant. If rounds differ by a tenth, contenders do, too.
"""


# The applications in the order of the page, each with its targets and its plots.
_PARTS: dict[str, tuple[list[Target], dict[str, str]]] = {
    "startproject": (
        HANDLER_TARGETS,
        {"http-startproject.svg": "Requests per second behind startproject's middleware"},
    ),
    "django": ([], {"http-django.svg": "Requests per second of Django's handler"}),
    "bare": (
        TARGETS,
        {
            "http-endpoints.svg": "Requests per second at each endpoint",
            "http-clients.svg": "Rate and P99, by the number of clients",
        },
    ),
}
_MEMORY_PLOT = "http-memory.svg"


def _parts(result: Result) -> dict[str, tuple[list[Target], dict[str, str]]]:
    """Return what a record has. Older ones do not have requests that pass through middleware."""
    applications = result.distinct("application")
    return {each: part for each, part in _PARTS.items() if each in applications}


def draw(result: Result, folder: Path) -> None:
    """Draw the plots."""
    # matplotlib is not needed to write the text.
    from benches.http import plots

    parts = _parts(result)
    for application in parts.keys() - {"bare"}:
        plots.plot_handled(result, folder / f"http-{application}.svg", application)
    plots.plot_endpoints(result, folder / "http-endpoints.svg")
    plots.plot_clients(result, folder / "http-clients.svg")
    plots.plot_memory(result, folder / _MEMORY_PLOT)


def section(result: Result, folder: str) -> Iterator[str]:
    """Yield the paragraphs. Plots are in a folder beside the page."""
    yield _INTRODUCTION.strip()
    date, machine, versions = (result.record[each] for each in ("date", "machine", "versions"))
    yield provenance(f"http-{date}", date, machine, versions)
    for application, (targets, plots) in _parts(result).items():
        yield f"### {_APPLICATIONS[application]}"
        if targets:
            yield _targets(result, targets)
        for name, title in plots.items():
            yield f"![{title}]({folder}/{name})"
        yield from _rates(result, application)
        yield from _waits(result, application)
    yield from _usage(result, folder)
    yield _method(result)


def _targets(result: Result, targets: list[Target]) -> str:
    """Return a table of targets, with their further goals if they have any."""
    rows = [target.cells(result) for target in targets]
    head = ["", "measured", "target", "stretch", "met"]
    if not any(target.further for target in targets):
        head, *rows = ([*cells[:3], cells[-1]] for cells in [head, *rows])
    return table(head, rows)


def _rates(result: Result, application: str) -> Iterator[str]:
    for clients in result.distinct("clients", application=application):
        yield f"#### {_APPLICATIONS[application]}, {clients:,} clients: requests per second"
        endpoints = result.distinct("endpoint", application=application)
        yield table(
            ["", *endpoints],
            (
                [
                    name,
                    *(_rate(result, Cell(application, name, each, clients)) for each in endpoints),
                ]
                for name in result.distinct("contender", application=application)
            ),
        )


def _rate(result: Result, cell: Cell) -> str:
    rate = result.median(cell, "rate")
    if rate is None:
        return ""
    spread = f" ±{result.spread(cell, 'rate'):.0%}" if result.record["rounds"] > 1 else ""
    errors = result.errors(cell)
    return f"{rate:,.0f}{spread}" + (f", {errors:,} errors" if errors else "")


def _waits(result: Result, application: str) -> Iterator[str]:
    clients = result.distinct("clients", application=application)
    yield f"#### {_APPLICATIONS[application]}: P50 and P99 of get, in milliseconds"
    yield table(
        ["", *(f"{number:,} clients" for number in clients)],
        (
            [
                name,
                *(_wait(result, Cell(application, name, "get", number)) for number in clients),
            ]
            for name in result.distinct("contender", application=application)
        ),
    )


def _wait(result: Result, cell: Cell) -> str:
    p50, p99 = (result.median(cell, what) for what in ("p50", "p99"))
    if p50 is None or p99 is None:
        return ""
    return f"{p50:,.3g} / {p99:,.3g}" if p99 < 1000 else f"{p50:,.0f} / {p99:,.0f}"


def _usage(result: Result, folder: str) -> Iterator[str]:
    clients = max(result.distinct("clients"))
    yield f"### Memory and threads with {clients:,} clients"
    yield (
        "At the endpoint that uses most. Memory is the proportional set size: memory that "
        "processes share is divided among them. Memory added by clients is what was added "
        "after the server had been warmed up with as many clients as it has connections."
    )
    yield f"![Memory with {clients:,} clients]({folder}/{_MEMORY_PLOT})"
    for application in _parts(result):
        yield f"#### {_APPLICATIONS[application]}: memory and threads"
        yield table(
            [
                "",
                "server, MB",
                "of these, added by clients",
                "PostgreSQL's processes, MB",
                "threads",
                "connections",
            ],
            (
                [name, *_taken(result, application, name, clients)]
                for name in result.distinct("contender", application=application)
            ),
        )


def _taken(result: Result, application: str, name: str, clients: int) -> list[str]:
    memory = result.memory(application, name, clients)
    numbers = (
        result.most(application, name, clients, what) for what in ("threads", "connections")
    )
    server, backends = (f"{size:,.0f}" for size in memory) if memory else ("", "")
    grown = result.most(application, name, clients, "grown")
    return [
        server,
        "" if grown is None else f"{grown:,.0f}",
        backends,
        *("" if number is None else f"{number:,}" for number in numbers),
    ]


def _method(result: Result) -> str:
    rounds = result.record["rounds"]
    seconds = [
        f"{length} s with {int(n):,} clients" for n, length in result.record["seconds"].items()
    ]
    return _METHOD.strip().format(
        authors=AUTHORS,
        contenders="\n".join(f"| {name} | {what} |" for name, what in _CONTENDERS.items()),
        endpoints="\n".join(f"| {name} | {what} |" for name, what in ENDPOINTS.items()),
        entries=ENTRIES,
        pool=result.record["pool"],
        rounds={1: "once", 2: "twice"}.get(rounds, f"{rounds} times"),
        seconds=", ".join(seconds),
    )
