"""Writes docs/ecosystem.md of the records, as the test of it does."""

from collections.abc import Iterable, Iterator
from typing import Any

from tests.conformance.page import _row, _table
from tests.conformance.process import ROOT
from tests.ecosystem import record
from tests.ecosystem.expectations import EXPECTED
from tests.ecosystem.packages import PACKAGES
from tests.ecosystem.suite import COUNTED, DJANGO, MODES

PATH = ROOT / "docs" / "ecosystem.md"

_INTRODUCTION = """\
# Other packages

Packages that use Django's ORM have their own tests. They are run with turbo-orm, unchanged, with
a real PostgreSQL. The run writes this page.

```console
$ make ecosystem                                            # everything, as below
$ make ecosystem PACKAGES="djangorestframework django-filter" MODES=hot
$ make ecosystem CELL=fast                                  # four packages
$ make ecosystem ARGS=--help
```

A package's tests are in its source distribution, which is downloaded from PyPI in the version
that `tests/ecosystem/constraints.txt` names. pytest runs them in a separate environment, in which
the wheel of turbo-orm is installed, with the package's own settings. Only these are changed:
`DATABASES`, `"turbo_orm"` in `INSTALLED_APPS`, and `TURBO_ORM`. `tests/ecosystem/packages.toml`
lists other changes (a fast password hasher, a cache without a server), and which of the tests are
run. First they are run with Django alone, on its own engine, and then in three modes:

| mode | what runs |
|---|---|
| *patched* | The engine is `turbo_orm.backends.postgresql`, all of Django is patched \
([`PATCH_DJANGO`](patching.md)), and all managers use the \
[query cache](query_cache.md#models-without-an-asyncmanager), in sync code, too. |
| *hot* | As in [Django's own tests](conformance.md): each sync method that has an async version \
calls it, each model has an `AsyncManager` instead of Django's `Manager`, and each result is \
hydrated a second time, by Django, and compared. |
| *bridge* | As there: the whole test suite runs on the bridge, on an asyncio connection, with \
all of Django patched. |

In every mode, each statement that is reused is compared with the one that Django would execute
(`TURBO_ORM_VERIFY`). In *hot* and *bridge*, it is an error if a sync cursor is opened while an
async operation runs.

If a test passes in Django alone, but fails or is skipped in a mode, this is a new failure. It
makes the run fail, unless it is listed below with a reason. If a test fails in Django alone (the
package may be older than this version of Django, or be written for SQLite), it is expected to
fail here, too.

## The results
"""

_TOTALS = """\
{results:,} results with {rows:,} rows were hydrated twice, with {differences} differences.
{async_cursors:,} cursors were opened on async connections, and {sync_cursors} sync cursors in the
meantime.
"""

_ENGINES = """\
## Packages that check `ENGINE`

`turbo_orm.backends.postgresql` is Django's engine with an async connection beside it:
`connection.vendor` is `"postgresql"`, and features, operations and introspection are Django's, so
a package that checks these works. A few packages compare `ENGINE` itself with the names that they
know, and have a setting or an argument for others:

| package | without the setting | what to set |
|---|---|---|
| django-cachalot | warns (`cachalot.W002`), and caches nothing | \
`CACHALOT_ADDITIONAL_SUPPORTED_DATABASES = ["turbo_orm.backends.postgresql"]` |
| django-extensions | `sqldsn`, `sqlcreate` and `reset_db` don't recognize the database | \
`DJANGO_EXTENSIONS_RESET_DB_POSTGRESQL_ENGINES = ["turbo_orm.backends.postgresql"]` |
| dj-database-url | a `postgres://` URL selects Django's engine | \
`dj_database_url.config(engine="turbo_orm.backends.postgresql")` |
| django-environ | a `postgres://` URL selects Django's engine | \
`env.db(engine="turbo_orm.backends.postgresql")` |

djangorestframework checks it only in its tests, some of which are skipped: see below.

django-tenants is an engine that wraps another one, which `ORIGINAL_BACKEND` names. Its wrapper
sets a tenant's `search_path` when a sync cursor is opened, and it has no async connection. So
with `ORIGINAL_BACKEND = "turbo_orm.backends.postgresql"` alone, sync code works as with Django's
engine, and the async methods of Django's managers run in a thread. Those of an `AsyncManager`,
and code on the bridge, raise `ImproperlyConfigured`, which names the engine.
[Tenants](tenants.md#django-tenants) shows an engine with which async code works, too.

"""

_LISTED = """\
## The tests that fail

| package | test | mode | reason |
|---|---|---|---|
"""


def text() -> str:
    """Return the page."""
    records = record.read()
    return "\n".join(
        [
            _INTRODUCTION,
            *_results(records),
            "",
            _totals(records),
            _ENGINES + _LISTED + "\n".join(_listed()),
            "",
            *_new(records),
            *_left_out(),
        ]
    )


def write() -> None:
    """Write the page."""
    PATH.write_text(text(), encoding="utf-8")


def _results(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield from _table(
        ["package", "version", "tests", "fail in Django alone", "skipped in Django alone"]
        + [f"new, *{mode}*" for mode in MODES]
        + ["listed", "minutes", "recorded"],
        2,
    )
    for found in records:
        modes = found["modes"]
        alone = modes[DJANGO]["counts"]
        tests = sum(alone.get(name, 0) for name in ("passed", "failed", "skipped"))
        yield _row(
            found["package"],
            found["version"],
            f"{tests:,}",
            f"{alone.get('failed', 0):,}",
            f"{alone.get('skipped', 0):,}",
            *[_number_of_new(modes[mode]) for mode in MODES],
            str(max(modes[mode]["counts"].get("listed", 0) for mode in MODES)),
            f"{sum(mode['seconds'] for mode in modes.values()) / 60:.1f}",
            found["date"],
        )


def _number_of_new(mode: dict[str, Any]) -> str:
    return "doesn't finish" if mode["errors"] else str(len(mode["new"]))


def _totals(records: Iterable[dict[str, Any]]) -> str:
    suites = [suite for found in records for suite in found["modes"].values()]
    versions = {
        ", ".join(f"{name} {number}" for name, number in found["versions"].items()): None
        for found in records
    }
    numbers = {name: sum(suite[name] for suite in suites) for name in COUNTED}
    return _TOTALS.format(**numbers) + f"Versions: {'; '.join(versions)}.\n"


def _listed() -> Iterator[str]:
    for entry in EXPECTED:
        for test in entry.tests:
            modes = ", ".join(entry.modes)
            yield _row(entry.package, f"`{test.replace('|', ' ')}`", modes, entry.reason)


def _new(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield what is new, if there is any."""
    rows = [
        _row(found["package"], f"`{test}`", mode)
        for found in records
        for mode in MODES
        for test in found["modes"][mode]["new"]
    ]
    if rows:
        yield "## New failures\n"
        yield from _table(["package", "test", "mode"], 3)
        yield from rows
        yield ""


def _left_out() -> Iterator[str]:
    rows = [_row(each.name, each.left_out) for each in PACKAGES.values() if each.left_out]
    if rows:
        yield "## Packages that are left out\n"
        yield from _table(["package", "reason"], 2)
        yield from rows
        yield ""
