"""docs/benchmarks.md with its plots, written from the latest records: never by hand.

``python -m benches.page`` writes it; so do ``make report`` and ``make bench-http``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benches.concurrent import section as concurrent
from benches.http import section as served
from benches.http.result import Result
from benches.latest import latest, recorded
from benches.report.run import Run
from benches.round_trips import section as round_trips
from benches.small import section as small

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
# Beside the page, where the documentation looks for them.
PLOTS = PAGE.with_suffix("")

_INTRODUCTION = """\
# Benchmarks

These commands write this page, from the results that they record in `benches/results`:

```console
$ make bench-http                  # servers under load; takes an hour
$ make bench-http ARGS=--quick     # a part of it; two minutes, only printed
$ make bench-http ARGS=--handlers  # Django's handlers; ten minutes, only printed
$ make bench-http ARGS=--help
$ make report ARGS="benches/small benches/writes"            # single operations; minutes
$ make report ARGS="benches/concurrent benches/round_trips"  # waiting times; minutes
```

The rest of `make report` measures lists of up to 100,000 rows, and the operations of a well-known
ORM benchmark. Its reports are in `benches/results`, too.

In the sections after the first, a ratio such as "÷ psycopg" compares a contender with the rounds
of psycopg that alternated with its own. It can differ from the ratio of the times in a table,
which were measured at different moments.
"""


def text() -> str:
    """Return the page that the latest records make."""
    result, operations, writes = _records()
    parts = [
        _INTRODUCTION.strip(),
        *served.section(result, PLOTS.name),
        *small.section(operations, writes, PLOTS.name),
        *(
            paragraph
            for module, run in _waiting()
            for paragraph in module.section(run, PLOTS.name)
        ),
        served.NOT_CLAIMED.strip(),
    ]
    return "\n\n".join(parts) + "\n"


def write() -> Path:
    """Draw the plots, write the page, and return its file."""
    result, operations, _ = _records()
    PLOTS.mkdir(exist_ok=True)
    small.draw(operations, PLOTS)
    for module, run in _waiting():
        module.draw(run, PLOTS)
    served.draw(result, PLOTS)
    PAGE.write_text(text(), encoding="utf-8")
    return PAGE


def _records() -> tuple[Result, Run, Run]:
    (operations,), (writes,) = (Run.read(latest(suite)) for suite in ("small", "writes"))
    return Result.read(latest("http")), operations, writes


def _waiting() -> Iterator[tuple[Any, Run]]:
    """Yield the sections that are about what waits, with their records if there are any."""
    for module in (concurrent, round_trips):
        if run := recorded(module.SUITE):
            yield module, run


if __name__ == "__main__":
    write()
