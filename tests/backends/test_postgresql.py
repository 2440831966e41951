"""turbo-orm's engine: Django's PostgreSQL for sync code, and a pool for async code."""

import pytest
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.utils import load_backend

from tests.support.engines import DAB, ENGINE, project
from tests.support.project import databases


def test_sync_code_has_djangos_wrapper():
    assert load_backend(ENGINE).DatabaseWrapper is DatabaseWrapper


@pytest.mark.parametrize("engine", [ENGINE, DAB])
def test_either_name_works(engine, scratch):
    code = """
    async def work():
        async with async_atomic():
            account = await Account.objects.acreate(owner="engine")
            await account.adelete()
        return [await Account.objects.acount(), await ask()]

    with only_the_event_loop():
        found = asyncio.run(work())
    answer([*found, Account.objects.count(), sessions()])
    """
    assert project(code, engine) == [0, 0, 0, 1]


def test_150_tasks_at_once_are_served(scratch):
    code = """
    async def work(number):
        async with async_atomic():
            await Account.objects.acreate(owner=f"{number}")
        return await ask()

    async def main():
        await asyncio.gather(*[work(number) for number in range(150)])
        return await Account.objects.acount(), await run_sync(sessions)

    answer(asyncio.run(main()))
    """
    count, found = project(code)
    assert count == 150
    assert 1 < found <= 10


IDLE = """
    async def wait(asked, ended):
        await ask()
        asked.release()
        await ended.wait()

    async def main():
        asked, ended = asyncio.Semaphore(0), asyncio.Event()
        tasks = [asyncio.create_task(wait(asked, ended)) for _ in range(30)]
        for _ in tasks:
            await asked.acquire()
        found = await run_sync(sessions)
        ended.set()
        await asyncio.gather(*tasks)
        return found

    answer(asyncio.run(main()))
"""


@pytest.mark.parametrize(
    ("pool", "most"), [({}, 10), ({"pool": {"max_size": 5}}, 5), ({"pool": False}, 31)]
)
def test_tasks_that_wait_for_something_else_hold_no_more_than_the_pool_has(pool, most, scratch):
    found = project(IDLE, OPTIONS=pool)
    assert found == 31 if most == 31 else found <= most


def test_what_tasks_leave_idle_is_closed_in_the_end(scratch):
    """Though the tasks go on."""
    code = """
    async def main():
        asked, ended = asyncio.Semaphore(0), asyncio.Event()

        async def wait():
            await ask()
            asked.release()
            await ended.wait()
            return await ask()

        tasks = [asyncio.create_task(wait()) for _ in range(8)]
        for _ in tasks:
            await asked.acquire()
        found = [await run_sync(sessions)]
        async with asyncio.timeout(20):
            while await run_sync(sessions) > 1:
                await asyncio.sleep(0.2)
        ended.set()
        return found + await asyncio.gather(*tasks)

    answer(asyncio.run(main()))
    """
    pool = {"min_size": 0, "max_size": 2, "max_idle": 1}
    before, *after = project(code, OPTIONS={"pool": pool})
    assert before in {1, 2}
    assert after == [0] * 8


@pytest.mark.parametrize("engine", [ENGINE, DAB])
def test_a_connection_that_cannot_be_opened_says_so_at_once(engine):
    """Not after the pool's timeout, and to all that wait for the pool to open."""
    code = """
    import time

    async def main():
        began = time.monotonic()
        found = await asyncio.gather(*[ask() for _ in range(5)], return_exceptions=True)
        assert time.monotonic() - began < 5
        return sorted({f"{type(each).__name__}: {each}" for each in found})

    answer(asyncio.run(main()))
    """
    (message,) = project(code, engine, NAME="turbo_orm_test_is_not_there")
    assert message.startswith("OperationalError: ")
    assert 'database "turbo_orm_test_is_not_there" does not exist' in message


def test_a_pool_opens_again_when_the_server_is_back(scratch):
    code = """
    from django.conf import settings

    entry = settings.DATABASES["default"]

    async def main():
        right, entry["NAME"] = entry["NAME"], "turbo_orm_test_is_not_there"
        try:
            await ask()
        except OperationalError:
            entry["NAME"] = right
            # The pool has its parameters already.
            await async_connections["default"].close_pool()
        return await ask(), await run_sync(sessions)

    answer(asyncio.run(main()))
    """
    assert project(code) == [0, 1]


@pytest.mark.parametrize("age", [0, 300, None])
@pytest.mark.parametrize("engine", [ENGINE])
def test_connections_get_as_old_as_conn_max_age_says(age, engine):
    code = """
    async def main():
        await ask()
        return async_connections["default"].pool.max_lifetime

    answer(str(asyncio.run(main())))
    """
    expected = {0: "3600.0", 300: "300", None: "inf"}[age]
    assert project(code, engine, CONN_MAX_AGE=age) == expected


@pytest.mark.parametrize(
    ("pool", "sizes"),
    [
        ({}, [0, 10]),
        ({"pool": True}, [0, 10]),
        ({"pool": {"timeout": 5}}, [0, 10]),
        ({"pool": {"min_size": 2}}, [2, 2]),
        ({"pool": {"min_size": 2, "max_size": 7}}, [2, 7]),
    ],
)
def test_the_sizes_of_the_pool(pool, sizes):
    code = """
    async def main():
        pool = async_connections["default"].pool
        return [pool.min_size, pool.max_size]

    answer(asyncio.run(main()))
    """
    assert project(code, OPTIONS=pool) == sizes


COMMANDS = """
    import io
    from django.core.management import call_command
    from django.test.runner import DiscoverRunner
    from django.test import TestCase, TransactionTestCase
    from unittest import TestLoader
    from turbo_orm.test import AsyncTestCase

    def called(*arguments, **options):
        out = io.StringIO()
        call_command(*arguments, stdout=out, **options)
        return out.getvalue()
"""


def test_inspectdb(tables):
    code = """
    answer(called("inspectdb", "library_account"))
    """
    assert "class LibraryAccount(models.Model):" in project(COMMANDS + code)


@pytest.mark.parametrize("pool", [{}, {"pool": True}, {"pool": False}])
def test_dbshell_is_given_what_psql_understands(pool, tables):
    code = """
    arguments, environment = connection.client.settings_to_cmd_args_env(
        connection.settings_dict, ["--version"]
    )
    answer(arguments)
    """
    command, *arguments = project(COMMANDS + code, OPTIONS=pool)
    assert command == "psql"
    assert {"--version", databases()["default"]["NAME"]} <= {*arguments}


@pytest.mark.parametrize("pool", [{}, {"pool": True}, {"pool": False}])
def test_a_test_database_is_made_migrated_and_dropped(pool, scratch):
    """Django's runner drops it: no session is left there."""
    code = """
    class Rolled(AsyncTestCase):
        async def test_async(self):
            async with async_atomic():
                await Account.objects.acreate(owner="async")
            self.assertEqual(await Account.objects.acount(), 1)

        def test_sync(self):
            Account.objects.create(owner="sync")
            self.assertEqual(Account.objects.count(), 1)

    class Committed(TransactionTestCase):
        async def test_many(self):
            await asyncio.gather(*[Account.objects.acreate(owner=f"{n}") for n in range(20)])
            self.assertEqual(await ask(), 0)
            self.assertEqual(await Account.objects.acount(), 20)

    class Runner(DiscoverRunner):
        def run_checks(self, databases):
            "The library has fields of an app that is not installed here."

        def build_suite(self, *args, **kwargs):
            load = TestLoader().loadTestsFromTestCase
            return self.test_suite([load(Rolled), load(Committed)])

    runner = Runner(verbosity=0, interactive=False)
    import contextlib
    with contextlib.redirect_stderr(io.StringIO()) as shown:
        failures = runner.run_tests([])
    answer([failures, shown.getvalue()])
    """
    failures, shown = project(COMMANDS + code, OPTIONS=pool)
    assert failures == 0, shown
