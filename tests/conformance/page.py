"""Writes docs/conformance.md of the records, as the test of it does."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from tests.conformance import record
from tests.conformance.listed import TESTS
from tests.conformance.part import REQUESTS
from tests.conformance.process import ROOT

PATH = ROOT / "docs" / "conformance.md"

_INTRODUCTION = """\
# Django's own tests

turbo-orm promises the same answer as Django. Django has tests of its own answers, thousands of
them, which come with its source distribution. They are run on turbo-orm, unchanged, on a real
PostgreSQL, and this page is written by the run.

```console
$ make conformance                                    # everything, as below, for one mode
$ make conformance DJANGO=5.2 MODE="hot bridge"
$ make conformance LABELS="queries lookup" MODE=loop  # these labels alone, and no record
$ make postgis conformance LABELS=gis                 # GeoDjango's, on PostGIS
$ make conformance ARGS=--help
```

The tests know nothing of turbo-orm. It is put under them in five ways:

| mode | what runs |
|---|---|
| *hot* | Each sync method that has an async namesake calls that: `get()` drives `aget()`, \
`save()` drives `asave()`, a `for` drives an `async for`; of querysets, instances, related \
managers and prefetching. There is no event loop: what waits for the server blocks. Sync and \
async code share one connection, so that each test's transaction is that of both. |
| *loop* | The same, each call on an event loop. |
| *bridge* | The whole test suite runs on the bridge, in one task of an event loop, on an asyncio \
connection of its own: all of Django's sync ORM, transactions and fixtures too. |
| *requests* | The handlers of `turbo_orm.asgi` and `turbo_orm.test.AsyncClient` are in the place \
of Django's, for the labels that make requests. Such a handler answers the sync test client, too, \
which waits for it. Sync views run in a thread, which is that of the test. |
| *requests-bridge* | The same with the whole test suite on the bridge. Sync views run there \
(`SYNC_VIEWS`), and so do middleware and receivers of the tests (`ON_EVENT_LOOP`). |

In *hot* and *loop*, each model has an `AsyncManager` in the place of Django's `Manager`. In the
others, and everywhere for the labels of ordinary use (the admin, users, sessions, forms, views,
caches), the managers are Django's, and [`PATCH_DJANGO`](patching.md) is on. All rows are hydrated
by the native core.

In every mode, a sync cursor that is opened while an async operation runs is an error. In *hot*,
each result is hydrated a second time, by Django's own iterables from the rows that psycopg makes
of it, and both are compared: types, values, `__dict__`, `_state`, related objects.

The ten largest labels are run with other settings, too. Where a test needs those that it was
written for, it fails in Django as well, and what is expected of it is just that. So it is with
[GeoDjango](geodjango.md)'s, where a test needs newer libraries: they are run by themselves, and
have no line in the tables.
"""

_LISTED = """\
## The tests that fail

They are these, and no other. A test that fails and is not listed fails the run, and so does one
that is listed and passes.

| test | in | it |
|---|---|---|
"""


def text() -> str:
    """Return the page."""
    records = record.read()
    return "\n".join(
        [
            _INTRODUCTION,
            "## The results\n",
            *_results(records),
            "",
            _LISTED + "\n".join(_listed()),
            "",
            *_by_label(records),
        ]
    )


def write() -> None:
    """Write the page."""
    PATH.write_text(text(), encoding="utf-8")


def _results(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield from _table(
        [
            "Django",
            "mode",
            "part",
            "tests",
            "passed",
            "skipped by Django",
            "listed",
            "of those run",
        ],
        3,
    )
    for found in records:
        for part in found["parts"]:
            totals = part["totals"]
            yield _row(
                found["versions"]["django"],
                found["mode"],
                f"largest, `{part['variant']}`" if part["variant"] else part["name"],
                *_numbers(totals, "in Django"),
                _share(totals),
            )
    yield ""
    yield from _table(
        [
            "Django",
            "mode",
            "cursors on async connections",
            "sync ones meanwhile",
            "requests",
            "results hydrated twice",
            "their rows",
            "differences",
        ],
        2,
    )
    for found in records:
        parts = found["parts"]
        numbers = [sum(part[name] for part in parts) for name in ("async_cursors", "sync_cursors")]
        twice = [part["twice"] for part in parts if part["twice"]]
        again = [
            f"{sum(part[name] for part in twice):,}" if twice else ""
            for name in ("results", "rows", "differences")
        ]
        requests = sum(part.get("requests", 0) for part in parts)
        yield _row(
            found["versions"]["django"],
            found["mode"],
            *map("{:,}".format, numbers),
            f"{requests:,}" if requests else "",
            *again,
        )
    yield ""
    yield from _table(["recorded", "mode", "minutes", "with"], 4)
    for found in records:
        versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
        minutes = f"{found['seconds'] / 60:.0f}"
        yield _row(found["date"], found["mode"], minutes, versions)


def _listed() -> Iterator[str]:
    for entry in TESTS:
        modes = ", ".join(mode for mode in record.MODES if mode in entry.modes)
        only = ", ".join(f"Django {major}.{minor}" for major, minor in sorted(entry.djangos))
        where = modes if len(entry.djangos) > 2 else f"{modes}; {only}"
        yield _row(f"`{entry.test}`", where, entry.reason)


def _by_label(records: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a table of each label, for the newest Django in the modes that say most."""
    modes = [records[:1], [found for found in records if found["mode"] == REQUESTS[0]][:1]]
    for found in chain(*modes):
        for part in found["parts"][:2]:
            yield f"## Label by label: {part['name']}\n"
            yield f"Django {found['versions']['django']}, *{found['mode']}*.\n"
            yield from _table(["label", "tests", "passed", "skipped by Django", "listed"], 1)
            for label, counts in part["labels"].items():
                yield _row(f"`{label}`", *_numbers(counts))
            yield ""


def _numbers(counts: dict[str, int], *more: str) -> list[str]:
    names = ("tests", "passed", "skipped", *more, "listed")
    return [f"{counts.get(name, 0):,}" for name in names]


def _share(totals: dict[str, int]) -> str:
    return f"{100 * totals['passed'] / (totals['passed'] + totals.get('listed', 0)):.2f} %"


def _table(columns: list[str], left: int) -> Iterator[str]:
    yield _row(*columns)
    yield "|" + "|".join("---" if i < left else "--:" for i in range(len(columns))) + "|"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
