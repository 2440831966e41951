"""The README's table of what was measured, written from the latest records: never by hand.

``python -m benches.readme`` writes it; so do ``make report`` and ``make bench-http``.
"""

from collections.abc import Iterator
from pathlib import Path

from benches import names
from benches.http.result import Cell, Result
from benches.latest import latest
from benches.report.operations import quotient
from benches.report.run import Run

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- measured -->\n\n", "<!-- end of measured -->\n"

_ROWS = 10_000
_LISTS = {
    ("narrow", "instances"): "10,000 instances of four columns",
    ("wide", "instances"): "10,000 instances of twelve columns, with JSON",
    ("wide", "select_related()"): "the same, each with a related instance",
    ("narrow", "values()"): "10,000 dicts of four columns",
}
_OPERATIONS = {
    "aget": "time of an `aget()`, ÷ psycopg",
    "join": "time of ten rows of a join, filtered and sorted, ÷ psycopg",
    "acreate": "time of an `acreate()`, ÷ psycopg",
}
_SERVED = (names.TURBO, names.DJANGO_THREADS, names.PSYCOPG)
_ENDPOINTS = {
    ("get", 100): "requests/s, one row by primary key, 100 clients",
    ("get", 1_000): "the same, 1,000 clients",
    ("list", 100): "requests/s, 100 rows, 100 clients",
    ("eight", 100): "requests/s, eight queries each, 100 clients",
}


def written() -> str:
    """Return what stands between the marks in the README."""
    return README.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


def table() -> str:
    """Return the table of the latest records, with links to them."""
    http, small, lists = (latest(suite) for suite in ("http", "small", "queries"))
    result, (calls,), (run,) = Result.read(http), Run.read(small), Run.read(lists)
    lines = [
        "| | turbo-orm | Django's own async | psycopg, hand-written SQL |",
        "|---|---:|---:|---:|",
        *(
            f"| {' | '.join(cells)} |"
            for cells in [*_served(result), *_called(calls), *_listed(run)]
        ),
        "",
        f"Servers: [{http.stem}]({_address(http)}), with `make bench-http`. Single operations: "
        f"[{small.stem}]({_address(small)}); lists: [{lists.stem}]({_address(lists)}); both with "
        "`make report`.",
        "",
    ]
    return "\n".join(lines)


def write() -> Path:
    """Put the table into the README, and return that."""
    text = README.read_text(encoding="utf-8")
    README.write_text(text.replace(BEGIN + written(), BEGIN + table()), encoding="utf-8")
    return README


def _served(result: Result) -> Iterator[list[str]]:
    for (endpoint, clients), what in _ENDPOINTS.items():
        cells = (Cell("bare", name, endpoint, clients) for name in _SERVED)
        yield [what, *(_number(result.median(cell, "rate")) for cell in cells)]
    cells = (Cell("bare", name, "get", 1_000) for name in _SERVED)
    waits = (result.median(cell, "p99") for cell in cells)
    yield [
        "99th percentile of the response time, 1,000 clients",
        *(_number(ms, " ms") for ms in waits),
    ]
    measured = (names.TURBO, names.DJANGO_NO_POOL, names.PSYCOPG)
    sizes = (result.memory("bare", name, 1_000) for name in measured)
    yield [
        "memory of the server and PostgreSQL, 1,000 clients",
        *(_number(size and sum(size), " MB") for size in sizes),
    ]


def _called(run: Run) -> Iterator[list[str]]:
    for operation, what in _OPERATIONS.items():
        quotients = (quotient(run, operation, name) for name in (names.TURBO, names.DJANGO_ASYNC))
        yield [what, *(f"{each} ×" for each in quotients), "1 ×"]


def _listed(run: Run) -> Iterator[list[str]]:
    for (table_, shape), what in _LISTS.items():
        times = (
            run.time(table_, shape, _ROWS, name)
            for name in (names.TURBO, names.DJANGO_ASYNC, names.PSYCOPG)
        )
        yield [what, *(f"{time * 1e3:.3g} ms" if time else "" for time in times)]


def _number(value: float | None, unit: str = "") -> str:
    return "" if value is None else f"{value:,.0f}{unit}"


def _address(file: Path) -> str:
    return file.relative_to(README.parent).as_posix()


if __name__ == "__main__":
    write()
