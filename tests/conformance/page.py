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

turbo-orm promises the same results as Django. Django's source distribution comes with thousands
of tests for its own behavior. They are run on turbo-orm, unchanged, with a real PostgreSQL. The
run writes this page.

```console
$ make conformance                                    # everything, as below, for one mode
$ make conformance DJANGO=5.2 MODE="hot bridge"
$ make conformance LABELS="queries lookup" MODE=loop  # these labels alone, and no record
$ make postgis conformance LABELS=gis                 # GeoDjango's, on PostGIS
$ make conformance ARGS=--help
```

The tests know nothing about turbo-orm. It is used in five modes:

| mode | what runs |
|---|---|
| *hot* | Each sync method that has an async version calls it: `get()` calls `aget()`, \
`save()` calls `asave()`, and `for` calls `async for`; for querysets, instances, related \
managers and prefetching. There is no event loop, so waiting for the server blocks. Sync and \
async code share one connection, and so each test's transaction. |
| *loop* | The same, but each call runs on an event loop. |
| *bridge* | The whole test suite runs on [the bridge](requests.md#what-happens-to-a-request), in \
one task of an event loop, on its own asyncio connection. This includes all of Django's \
sync ORM, transactions and fixtures. |
| *requests* | The handlers of `turbo_orm.asgi` and `turbo_orm.test.AsyncClient` replace \
Django's, for the labels that make requests. The handler also answers the sync test client, \
which waits for it. Sync views run in a thread, which is the test's thread. |
| *requests-bridge* | The same, but the whole test suite runs on the bridge. Sync views run there \
(`SYNC_VIEWS`), and so do middleware and receivers of the tests (`ON_EVENT_LOOP`). |

In *hot* and *loop*, each model has an `AsyncManager` instead of Django's `Manager`. In the other
modes, and in all modes for the labels of ordinary use (the admin, users, sessions, forms, views,
caches), the managers are Django's, and [`PATCH_DJANGO`](patching.md) is on. All rows are turned
into objects in Rust.

In every mode, it is an error if a sync cursor is opened while an async operation runs. In *hot*,
each result is hydrated a second time, by Django's own iterables from psycopg's rows, and both are
compared: types, values, `__dict__`, `_state` and related objects.

The ten largest labels are also run with other settings. A test that needs the settings that it
was written for then fails in Django, too; it is counted as "fail in Django, too", and is expected
to fail here. [GeoDjango](geodjango.md)'s tests are run separately, and aren't in the tables;
those that need newer libraries are treated in the same way.
"""

_LISTED = """\
## The tests that fail

These are all of them. A test that fails and isn't listed makes the run fail, and so does one that
is listed and passes.

| test | mode | reason |
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
            "fail in Django, too",
            "listed",
            "passed of those run",
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
            "sync cursors in the meantime",
            "requests",
            "results hydrated twice",
            "rows in these",
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
    yield from _table(["recorded", "mode", "minutes", "versions"], 4)
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
