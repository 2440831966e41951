"""Where the time of a statement goes: ``make anatomy`` prints a table, in microseconds.

Some operations are done repeatedly, in one task on a pool's connection. The functions at which a
stage begins, its seams, are wrapped, and the time in one, but not in another that it calls, is its
stage's. What is left is the building: of querysets and instances, or, where the statement is
cached, of the chain and of parameters from its values. Such a statement passes no compiler, no
bridge and no cursor. Wrapping adds a microsecond for each seam.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import wraps
from itertools import count
from random import randint
from time import perf_counter
from typing import Any

import django
from django.conf import settings
from rich.console import Console
from rich.table import Table

from atlas.postgres import database, embedded_dsn

CITIES = 10_000
STAGES = ["building", "compiling", "acquiring", "cursor", "driver and server", "hydrating"]


class Watch:
    """Adds up the time that passes in each stage."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._stages = ["building"]
        self._since = perf_counter()

    def enter(self, stage: str) -> None:
        self._note()
        self._stages.append(stage)

    def leave(self) -> None:
        self._note()
        self._stages.pop()

    def _note(self) -> None:
        now = perf_counter()
        self.spent[self._stages[-1]] += now - self._since
        self._since = now

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the seams, from now on until the end of the block."""
        from turbo_orm.bridge import replaced_methods

        # What is watched calls what it takes the place of: nothing is to be switched off for it.
        replaced_methods.TRANSPARENT.add(__name__)
        originals = [(owner, name, original(owner, name)) for _, owner, name in seams()]
        for stage, owner, name in seams():
            setattr(owner, name, self._watched(stage, original(owner, name)))
        self._since = perf_counter()
        try:
            yield
        finally:
            self._note()
            for owner, name, function in originals:
                setattr(owner, name, function)

    def _watched(self, stage: str, function: Any) -> Any:
        if isinstance(function, classmethod):
            return classmethod(self._watched(stage, function.__func__))

        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def watched_coroutine(*args: Any, **kwargs: Any) -> Any:
                self.enter(stage)
                try:
                    return await function(*args, **kwargs)
                finally:
                    self.leave()

            return watched_coroutine

        @wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            self.enter(stage)
            try:
                return function(*args, **kwargs)
            finally:
                self.leave()

        return watched


def seams() -> list[tuple[str, Any, str]]:
    """Return stages with the classes and methods where they begin."""
    from django.db.backends.utils import CursorWrapper
    from django.db.models.sql import compiler as sql
    from django.db.models.sql.query import Query
    from psycopg import AsyncCursor

    from turbo_orm.backend.base import BridgedDatabaseWrapper
    from turbo_orm.backend.handler import BridgedConnectionHandler
    from turbo_orm.backend.task_connection import TaskConnection
    from turbo_orm.driver.pool import Pool
    from turbo_orm.execution import direct, fetching
    from turbo_orm.hydration.hydrator import Hydrator

    return [
        ("compiling", Query, "get_compiler"),
        ("compiling", sql.SQLCompiler, "as_sql"),
        ("compiling", sql.SQLInsertCompiler, "as_sql"),
        ("acquiring", BridgedConnectionHandler, "__getitem__"),
        ("acquiring", BridgedDatabaseWrapper, "ensure_connection"),
        ("acquiring", TaskConnection, "_put_back_if_due"),
        ("acquiring", TaskConnection, "_on_task_done"),
        ("acquiring", direct, "_source"),
        ("acquiring", Pool, "acquire_nowait"),
        ("acquiring", Pool, "acquire"),
        ("acquiring", Pool, "release"),
        ("acquiring", TaskConnection, "acquire_nowait"),
        ("acquiring", TaskConnection, "release"),
        ("cursor", BridgedDatabaseWrapper, "cursor"),
        ("cursor", CursorWrapper, "execute"),
        ("driver and server", direct, "execute"),
        ("driver and server", AsyncCursor, "execute"),
        ("hydrating", fetching, "hydrate"),
        ("hydrating", fetching, "_new_hydrator"),
        ("hydrating", Hydrator, "result"),
    ]


def original(owner: Any, name: str) -> Any:
    """Return what a class or a module has at a seam; it must be its own, and not inherited."""
    try:
        return vars(owner)[name]
    except KeyError:
        path = getattr(owner, "__module__", ""), getattr(owner, "__qualname__", owner.__name__)
        raise LookupError(
            f"{'.'.join(filter(None, path))} has no {name} of its own, which seams() in "
            f"{__name__} lists. If it was renamed or moved, change it there."
        ) from None


type Operation = Callable[[], Awaitable[Any]]


def operations() -> dict[str, tuple[Operation, int]]:
    """Return the operations, and how often each is done."""
    from atlas.models import City, Country

    keys = list(City.objects.values_list("pk", flat=True))
    country = Country.objects.get(pk="FR")
    fresh = count(10**8)

    def fields() -> dict[str, Any]:
        return {
            "geonameid": next(fresh),
            "name": "Nowhere",
            "country": country,
            "latitude": Decimal("1.5"),
            "longitude": Decimal("2.5"),
            "population": 7,
            "timezone": "UTC",
        }

    async def get() -> Any:
        return await City.objects.aget(pk=keys[randint(0, len(keys) - 1)])

    async def create() -> Any:
        await City.objects.acreate(**fields())

    async def update() -> Any:
        key = keys[randint(0, len(keys) - 1)]
        await City.objects.filter(pk=key).aupdate(population=randint(0, 10**6))

    async def bulk_create() -> Any:
        await City.objects.abulk_create([City(**fields()) for _ in range(5_000)])

    async def join() -> Any:
        return await (
            City.objects.select_related("country__continent")
            .filter(country__continent__code="AS", population__gt=100_000)
            .exclude(country__currency="CNY")
            .order_by("-population")[:10]
            .alist()
        )

    return {
        "aget()": (get, 2_000),
        "acreate()": (create, 2_000),
        "aupdate() of one row": (update, 2_000),
        "abulk_create() of 5,000": (bulk_create, 5),
        "a join of three with filters, ten rows": (join, 500),
    }


async def measure(operation: Operation, times: int) -> tuple[float, Counter[str]]:
    """Return the seconds that an operation takes unwatched, and those of its stages."""

    async def repeat() -> None:
        # As a request of a server does it: in a task, with a connection of its own.
        for _ in range(times):
            await asyncio.create_task(operation())  # type: ignore[arg-type]

    await repeat()
    rounds = []
    for _ in range(3):
        started = perf_counter()
        await repeat()
        rounds.append((perf_counter() - started) / times)
    watch = Watch()
    with watch.watching():
        await repeat()
    spent = Counter({stage: seconds / times for stage, seconds in watch.spent.items()})
    return min(rounds), spent


def configure(dsn: str) -> None:
    """Configure Django, with the atlas and a pool, and load the cities."""
    entry = database(dsn)
    entry["OPTIONS"]["pool"] = {"min_size": 2, "max_size": 2}
    settings.configure(
        ASYNC_BACKEND_DISABLE_POOL_WARNING=True,
        DATABASES={"default": entry},
        INSTALLED_APPS=["turbo_orm", "atlas"],
        USE_TZ=True,
    )
    django.setup()
    from django.core.management import call_command

    from atlas.dataset import Dataset
    from atlas.models import City, Continent, Country

    call_command("migrate", verbosity=0)
    data = Dataset(CITIES)
    Continent.objects.bulk_create(data.continents)
    Country.objects.bulk_create(data.countries)
    City.objects.bulk_create(data.cities)


async def main() -> None:
    table = Table("", "whole", *STAGES, title="Microseconds", title_justify="left")
    for name, (operation, times) in made.items():
        whole, spent = await measure(operation, times)
        cells = (f"{spent[stage] * 1e6:,.0f}" for stage in STAGES)
        table.add_row(name, f"{whole * 1e6:,.0f}", *cells)
    Console(width=130).print(table)


if __name__ == "__main__":
    configure(embedded_dsn())
    made = operations()
    asyncio.run(main())
