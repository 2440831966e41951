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

Packages that use Django's ORM have tests of their own. They are run with turbo-orm, unchanged, on
a real PostgreSQL, and this page is written by the run.

```console
$ make ecosystem                                            # everything, as below
$ make ecosystem PACKAGES="djangorestframework django-filter" MODES=hot
$ make ecosystem CELL=fast                                  # four packages
$ make ecosystem ARGS=--help
```

The tests of a package are in its source distribution, which is fetched from PyPI in the version
that `tests/ecosystem/constraints.txt` has. pytest runs them in an environment of their own, in
which the wheel of turbo-orm is installed, with the settings of the package: only `DATABASES` is
another one, `"turbo_orm"` is in `INSTALLED_APPS`, and `TURBO_ORM` is set. What else is set, and
which of the tests are run, `tests/ecosystem/packages.toml` says: a fast hash of passwords, a
cache without a server. First they are run with Django alone, on its own engine. Then:

| mode | what runs |
|---|---|
| *patched* | The engine is `turbo_orm.backends.postgresql`, all of Django is patched \
([`PATCH_DJANGO`](patching.md)), and all managers use the \
[query cache](query_cache.md#models-without-an-asyncmanager), in sync code too. |
| *hot* | As in [conformance](conformance.md): each sync method that has an async namesake calls \
that, each model has an `AsyncManager` in the place of Django's `Manager`, and each result is \
hydrated a second time, by Django, and compared. |
| *bridge* | As there: the whole suite runs on the bridge, on an asyncio connection, with all of \
Django patched. |

In every mode each statement that is reused is compared with the one that Django would execute
(`TURBO_ORM_VERIFY`). In *hot* and *bridge*, a sync cursor that is opened while an async operation
runs is an error.

A test that passes in Django alone and fails in a mode, or is skipped there, is a new failure, and
fails the run, unless it is listed below with a fact. What fails in Django alone (the version of
the package may be older than that of Django, or be written for SQLite) is expected to do so here,
too.

## The results
"""

_TOTALS = """\
Results that were hydrated twice: {results:,}, with {rows:,} rows and {differences} differences.
Cursors on async connections: {async_cursors:,}; sync ones meanwhile: {sync_cursors}.
"""

_ENGINES = """\
## Packages that look at `ENGINE`

`turbo_orm.backends.postgresql` is Django's engine with an async connection beside it:
`connection.vendor` is `"postgresql"`, and features, operations and introspection are Django's. A
package that asks for these finds what it knows. A few compare `ENGINE` itself with names that they
know, and have a setting or an argument for others:

| package | without it | what to give it |
|---|---|---|
| django-cachalot | warns (`cachalot.W002`), and caches nothing | \
`CACHALOT_ADDITIONAL_SUPPORTED_DATABASES = ["turbo_orm.backends.postgresql"]` |
| django-extensions | `sqldsn`, `sqlcreate` and `reset_db` do not know the database | \
`DJANGO_EXTENSIONS_RESET_DB_POSTGRESQL_ENGINES = ["turbo_orm.backends.postgresql"]` |
| dj-database-url | a URL of `postgres://` means Django's engine | \
`dj_database_url.config(engine="turbo_orm.backends.postgresql")` |
| django-environ | a URL of `postgres://` means Django's engine | \
`env.db(engine="turbo_orm.backends.postgresql")` |

djangorestframework looks at it in its tests alone, some of which are skipped: see below.

django-tenants is an engine that wraps another one, which `ORIGINAL_BACKEND` names. Its wrapper
sets the `search_path` of a tenant when a sync cursor is opened, and it has no async one. So sync
code works with `ORIGINAL_BACKEND = "turbo_orm.backends.postgresql"` as with Django's engine, and
the async methods of Django's managers stay in a thread. Those of an `AsyncManager`, and the
bridge, raise `ImproperlyConfigured`, which names the engine.

"""

_LISTED = """\
## The tests that fail

| package | test | in | it |
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
        ["package", "version", "tests", "fail in Django alone", "skipped there"]
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
    return "does not end" if mode["errors"] else str(len(mode["new"]))


def _totals(records: Iterable[dict[str, Any]]) -> str:
    suites = [suite for found in records for suite in found["modes"].values()]
    versions = {
        ", ".join(f"{name} {number}" for name, number in found["versions"].items()): None
        for found in records
    }
    numbers = {name: sum(suite[name] for suite in suites) for name in COUNTED}
    return _TOTALS.format(**numbers) + f"With {'; '.join(versions)}.\n"


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
        yield from _table(["package", "test", "in"], 3)
        yield from rows
        yield ""


def _left_out() -> Iterator[str]:
    rows = [_row(each.name, each.left_out) for each in PACKAGES.values() if each.left_out]
    if rows:
        yield "## Packages that are left out\n"
        yield from _table(["package", "why"], 2)
        yield from rows
        yield ""
