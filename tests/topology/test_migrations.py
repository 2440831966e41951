"""A table that is migrated while servers of the old code, and then of the new one, use it.

No row is a wrong one, and code fails only where it names a column that is not there at the time,
as it does by Django's own. What is said of a changed type in a transaction is the one exception.
"""

import asyncio
import random

import pytest
from django.db import NotSupportedError, ProgrammingError, connection, models
from django.test.utils import isolate_apps
from psycopg.errors import UndefinedColumn

from tests.library.models import Account
from tests.support.clients import until
from tests.support.sharing import ALIAS, sharing
from tests.support.statements import ask
from turbo_orm import AsyncManager, async_atomic, async_connection
from turbo_orm.driver.prepared import THRESHOLD

OLD = "CREATE TABLE load_person (id bigserial PRIMARY KEY, name varchar(50), size integer)"
NUMBERS = range(1, 21)
PREPARED = "SELECT count(*) FROM pg_prepared_statements WHERE strpos(statement, 'load_person') > 0"
# Of the pool.
SIZE = 9


class Columns:
    """The fields of a model of the table: those of the old code, unless others are named."""

    def __init__(self, size="size", **more):
        self.size = size
        self.more = more

    def model(self, name):
        fields = {
            "name": models.CharField(max_length=50),
            self.size: models.IntegerField(),
            **{each: make() for each, make in self.more.items()},
        }
        meta = type("Meta", (), {"db_table": "load_person", "app_label": "library"})
        bases = {"__module__": __name__, "Meta": meta, "objects": AsyncManager()}
        return type(name, (models.Model,), {**bases, **fields})


def text():
    return models.TextField(null=True)


# By name: the migration, and the columns of the old code and of the new one.
MIGRATIONS = {
    "add column": ("ADD COLUMN note text", Columns(), Columns(note=text)),
    "drop column": ("DROP COLUMN note", Columns(note=text), Columns()),
    "alter type": ("ALTER COLUMN size TYPE bigint", Columns(), Columns()),
    "alter length": ("ALTER COLUMN name TYPE varchar(90)", Columns(), Columns()),
    "rename": ("RENAME COLUMN size TO amount", Columns(), Columns(size="amount")),
    "index": ("CREATE INDEX CONCURRENTLY load_name ON load_person (name)", Columns(), Columns()),
}


@pytest.fixture
def table(scratch):
    Account.objects.create(owner="Ada", balance=0)
    with connection.cursor() as cursor:
        cursor.execute(OLD)
        cursor.executemany(
            "INSERT INTO load_person (name, size) VALUES (%s, %s)",
            [(f"p{number}", number) for number in NUMBERS],
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE load_person")


class Server:
    """Tasks of one version of the code."""

    def __init__(self, model, size, seed):
        self.model = model
        self.size = size
        self.random = random.Random(seed)
        self.done = self.failed = self.stale = 0
        #: Whether the table has the columns of this code: None while that changes.
        self.fits = True

    def check(self, rows):
        assert rows
        assert all(each.name == f"p{getattr(each, self.size)}" for each in rows)

    @property
    def people(self):
        return self.model.objects.using(ALIAS)

    async def read(self):
        self.check(await self.people.alist())

    async def get(self):
        number = self.random.choice(NUMBERS)
        self.check([await self.people.order_by("pk").filter(name=f"p{number}").afirst()])

    async def values(self):
        found = [each async for each in self.people.values_list("name", self.size)]
        assert all(name == f"p{size}" for name, size in found)

    async def update(self):
        number = self.random.choice(NUMBERS)
        assert await self.people.filter(**{self.size: number}).aupdate(name=f"p{number}")

    async def insert(self):
        number = self.random.choice(NUMBERS)
        made = await self.people.acreate(**{"name": f"p{number}", self.size: number})
        await made.asave()

    async def transaction(self):
        async with async_atomic(ALIAS):
            await self.update()
            await self.read()
            await self.get()

    async def transaction_of_two_tables(self):
        async with async_atomic(ALIAS):
            assert (await Account.objects.using(ALIAS).aget()).owner == "Ada"
            await self.read()
            await self.update()

    KINDS = (read, get, values, update, insert, transaction, transaction_of_two_tables)

    async def step(self):
        fits, kind = self.fits, self.random.choice(self.KINDS)
        try:
            await kind(self)
        except NotSupportedError:
            # What was prepared cannot be sent once more in a transaction.
            if kind not in (Server.transaction, Server.transaction_of_two_tables):
                raise
            self.stale += 1
        except ProgrammingError as exc:
            # The column is not there. Django's own says the same.
            if not isinstance(exc.__cause__, UndefinedColumn) or (fits and self.fits):
                raise
            self.failed += 1
        else:
            self.done += 1

    async def work(self):
        while True:
            await self.step()

    async def goes_on(self, steps=6 * THRESHOLD):
        """Wait until so many steps are taken."""
        goal = self.done + self.failed + steps
        await until(lambda: self.done + self.failed >= goal)


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("name", MIGRATIONS)
def test_a_migration_under_load(name, number, table, run):
    migration, old_columns, new_columns = MIGRATIONS[name]
    if "CREATE" not in migration:
        migration = f"ALTER TABLE load_person {migration}"
    breaks_old = name in {"drop column", "rename"}
    breaks_new = name in {"add column", "rename"}

    async def steps():
        if "note" in old_columns.more:
            await ask("ALTER TABLE load_person ADD COLUMN note text")
        old = Server(old_columns.model("Old"), old_columns.size, 1)
        new = Server(new_columns.model("New"), new_columns.size, 2)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(old.work()) for _ in range(12)]
            await old.goes_on(200)
            assert old.failed == 0
            new.fits = not breaks_new
            others = [group.create_task(new.work()) for _ in range(6)]
            await new.goes_on()
            # From here on either may be so.
            old.fits, new.fits = (None if breaks_old else True), (None if breaks_new else True)
            await asyncio.create_task(ask(migration))
            old.fits, new.fits = not breaks_old, True
            await asyncio.gather(old.goes_on(100), new.goes_on(100))
            for each in tasks:
                each.cancel()
            await new.goes_on(50)
            for each in others:
                each.cancel()
        # The first one that finds the table changed has all connections prepare anew.
        assert old.stale + new.stale <= (SIZE if name.startswith("alter") else 0)
        assert bool(old.failed) is breaks_old
        assert bool(new.failed) is breaks_new

    with isolate_apps("tests.library"), sharing(number=number, looks=True, max_size=SIZE):
        run(steps)


def test_what_one_connection_finds_changed_another_prepares_anew(table, run):
    """Where it could not be sent once more: in a transaction, behind another statement."""

    async def warm(server, barrier):
        async with async_atomic(ALIAS):
            await barrier.wait()
            for _ in range(2 * THRESHOLD):
                await server.read()
        for _ in range(2):
            await server.read()

    async def finds():
        await Server(model, "size", 1).read()

    async def steps():
        server, barrier, ended = Server(model, "size", 1), asyncio.Barrier(2), asyncio.Event()

        async def other():
            await warm(server, barrier)
            async with async_connection(ALIAS):
                for _ in range(2 * THRESHOLD):
                    await server.read()
                assert await ask(PREPARED, using=ALIAS) == [("1",)]
                await ended.wait()
                async with async_atomic(ALIAS):
                    await ask("SELECT 1", using=ALIAS)
                    await server.read()

        async with asyncio.TaskGroup() as group:
            group.create_task(other())
            await asyncio.create_task(warm(server, barrier))
            await ask("ALTER TABLE load_person ALTER COLUMN size TYPE bigint")
            await asyncio.create_task(finds())
            ended.set()

    with isolate_apps("tests.library"), sharing(number=0, max_size=2):
        model = Columns().model("Person")
        run(steps)
