"""Statements of several tasks on shared connections: which ones, and that each is as alone."""

import asyncio
import gc
from decimal import Decimal

import pytest
from django.conf import settings
from django.db import DataError, connection
from django.db.models import F, Func, IntegerField, Value
from django.db.models.functions import Cast
from django.test.utils import override_settings
from psycopg import capabilities

from tests.library.models import Account, Sample
from tests.support.clients import until
from tests.support.sharing import (
    ALIAS,
    ANY,
    at_rest,
    balance,
    look,
    multiplexer,
    pool,
    prepared_on,
    share,
    sharing,
    using,
)
from tests.support.statements import ask
from turbo_orm import async_atomic, async_connection
from turbo_orm.driver import durations, multiplexing, prepared
from turbo_orm.execution import direct
from turbo_orm.query_cache.compiled import CompiledStatement
from turbo_orm.query_cache.shareable import is_shareable

pytestmark = pytest.mark.usefixtures("scratch", "empty_cache")

NUMBER = 20


@pytest.fixture
def accounts(scratch):
    Account.objects.bulk_create(Account(owner=f"{n}", balance=n) for n in range(NUMBER))


@pytest.fixture
def shared(run, accounts):
    """Return a function that runs a coroutine function where connections may be shared."""

    def run_shared(function, *args, **options):
        async def steps():
            await asyncio.create_task(ask("SELECT 1", using=ALIAS))
            # The chain is known then.
            for _ in range(2):
                await asyncio.create_task(balance(1))
            for each in [*multiplexer().shared]:
                each.end()
            result = await function()
            await at_rest()
            return result

        with sharing(*args, **options):
            return run(steps)

    return run_shared


def in_task(coroutine):
    return asyncio.create_task(coroutine)


def set_to(**changes):
    return override_settings(TURBO_ORM={**settings.TURBO_ORM, **changes})


def completed():
    return sum(each.pipeline.completed for each in multiplexer().shared)


# Which connections are shared


def test_connections_are_shared_by_those_that_have_executed_something(shared, monkeypatch):
    async def steps():
        driver_pool = pool().driver_pool
        for _ in range(2 * prepared.THRESHOLD):
            found = await asyncio.gather(*[in_task(balance(n)) for n in range(NUMBER)])
            assert found == [*range(NUMBER)]
        assert len(multiplexer().shared) == 2
        assert driver_pool.get_stats()["pool_size"] <= driver_pool.max_size
        before = completed()
        await asyncio.gather(*[in_task(balance(n)) for n in range(NUMBER)])
        # All of them went there, and half of them to each.
        assert completed() - before == NUMBER
        assert all(each.pipeline.completed >= NUMBER // 2 for each in multiplexer().shared)

    shared(steps, number=2)


def test_none_is_shared_while_few_are_in_use(shared, monkeypatch):
    async def steps():
        monkeypatch.setattr(multiplexing, "_BUSY", 2)
        for _ in range(2 * prepared.THRESHOLD):
            assert await in_task(balance(3)) == 3
        assert multiplexer().shared == []
        with monkeypatch.context() as patch:
            patch.setattr(multiplexing, "_BUSY", -1000)
            (one,) = await share()
        assert await in_task(balance(3)) == 3
        assert one.pipeline.completed == 0
        assert multiplexer().shared == [one]

    shared(steps)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_small_pool_shares_none_and_hangs_nowhere(size, shared):
    async def work(number):
        async with async_atomic(ALIAS):
            assert await balance(number) == number
        return await balance(number)

    async def steps():
        for _ in range(2 * prepared.THRESHOLD):
            found = await asyncio.gather(*[in_task(work(n)) for n in range(NUMBER)])
            assert found == [*range(NUMBER)]
            assert multiplexer().shared == []
        assert multiplexer().number() == 0

    shared(steps, max_size=size)


@pytest.mark.parametrize(("size", "number"), [(5, 1), (8, 1), (9, 2), (100, 2)])
def test_less_than_a_fourth_of_a_pool_is_shared(size, number, shared):
    async def steps():
        assert multiplexer().number() == number

    shared(steps, number=2, max_size=size)


def test_the_setting_may_change(shared):
    async def steps():
        await share()
        with set_to(MULTIPLEX=1):
            await look()
            assert len(multiplexer().shared) == 1
            # The cache is empty: its size may have changed, too.
            for _ in range(2):
                await in_task(balance(1))
            before = completed()
            assert await in_task(balance(1)) == 1
            assert completed() > before
        for setting in ({"MULTIPLEX": 0}, {"MULTIPLEX": 2, "PREPARE": False}):
            await share()
            with set_to(**setting):
                assert not direct.multiplexes
                assert await in_task(balance(1)) == 1
                await look()
                assert multiplexer().shared == []

    shared(steps, number=2)


def test_one_with_nothing_to_do_goes_back(shared, monkeypatch):
    async def steps():
        (one,) = await share()
        monkeypatch.setattr(multiplexing, "IDLE", 3 * multiplexing.PATIENCE)
        for _ in range(3):
            await look()
            assert multiplexer().shared == [one]
        assert await in_task(balance(1)) == 1
        for _ in range(4):
            await look()
            assert multiplexer().shared == [one]
        await look()
        assert multiplexer().shared == []
        assert not one.is_open

    shared(steps)


@pytest.mark.parametrize("why", ["lifetime", "drained", "closed"])
def test_one_that_the_pool_would_not_keep_goes_back(why, shared):
    async def steps():
        (one,) = await share()
        driver_pool = pool().driver_pool
        if why == "lifetime":
            one.driver._expire_at = 0
        elif why == "drained":
            if not hasattr(driver_pool, "drain"):
                pytest.skip("psycopg_pool cannot be drained")
            await driver_pool.drain()
        else:
            from turbo_orm.driver.pool import loop_pools

            found = multiplexer()
            await driver_pool.close()
            del loop_pools().driver_pools[ALIAS]
            one._timer.cancel()
            asyncio.get_running_loop().call_soon(one._look)
            await asyncio.sleep(0)
            assert found.shared == []
            assert one.driver.closed
            assert await in_task(balance(1)) == 1
            return
        await look()
        assert multiplexer().shared == []
        await until(lambda: one.driver.closed)
        assert await in_task(balance(1)) == 1

    shared(steps)


def test_a_task_that_needs_a_connection_takes_one_that_is_idle(shared):
    async def hold(begun, ended):
        async with async_connection(ALIAS):
            begun.release()
            await ended.wait()

    async def steps():
        begun, ended = asyncio.Semaphore(0), asyncio.Event()
        await share()
        for _ in range(2):
            await look()
        holders = [in_task(hold(begun, ended)) for _ in range(5)]
        for _ in holders:
            await begun.acquire()
        assert multiplexer().shared == []
        ended.set()
        await asyncio.gather(*holders)

    shared(steps, max_size=5)


def test_a_task_that_waits_in_vain_is_given_one_though_it_is_busy(shared):
    async def hold(begun, ended):
        async with async_connection(ALIAS):
            begun.release()
            await ended.wait()

    async def read():
        while not ended.is_set():
            assert await balance(4) == 4

    async def steps():
        (one,) = await share()
        readers = [in_task(read()) for _ in range(3)]
        await until(lambda: one.pipeline.completed > 10)
        holders = [in_task(hold(begun, ended)) for _ in range(5)]
        for _ in range(4):
            await begun.acquire()
        await until(lambda: pool().waiting > 0)
        while begun.locked():
            await look()
            await asyncio.sleep(0.001)
        assert not one.is_open
        ended.set()
        await asyncio.gather(*holders, *readers)

    begun, ended = asyncio.Semaphore(0), asyncio.Event()
    shared(steps, max_size=5)


def test_the_errors_of_a_pool_count_those_that_are_shared(shared):
    async def steps():
        await share()
        assert "0 held by tasks, 2 shared by statements, 0 used" in pool().usage()

    shared(steps, number=2)


def test_one_with_handlers_is_not_shared(shared):
    async def steps():
        driver = await pool().driver_pool.getconn()
        await driver.prepared.ask_whether_off(driver)
        driver.add_notice_handler(print)
        assert not multiplexer().adopt(driver, ANY)
        driver.remove_notice_handler(print)
        driver.prepared.is_off = True
        assert not multiplexer().adopt(driver, ANY)
        driver.prepared.is_off = False
        await driver.set_autocommit(False)
        await driver.execute("SELECT 1")
        assert not multiplexer().adopt(driver, ANY)
        await driver.rollback()
        await driver.set_autocommit(True)
        assert multiplexer().adopt(driver, ANY)

    shared(steps)


def test_a_libpq_without_pipelines(shared, monkeypatch):
    async def steps():
        monkeypatch.setattr(capabilities, "has_pipeline", lambda: False)
        for _ in range(2 * prepared.THRESHOLD):
            found = await asyncio.gather(*[in_task(balance(n)) for n in range(NUMBER)])
            assert found == [*range(NUMBER)]
        assert multiplexer().shared == []

    shared(steps)


def test_another_time_zone(shared):
    async def steps():
        (one,) = await share()
        with override_settings(TIME_ZONE="Asia/Tokyo", USE_TZ=False):
            for _ in range(3):
                assert await in_task(balance(1)) == 1
            assert one.pipeline.completed == 0
            await look()
            assert multiplexer().shared == []

    shared(steps)


# Which statements are sent


def test_one_known_to_be_slow_is_never_sent(shared):
    async def steps():
        await share()
        assert await in_task(balance(1)) == 1
        before = completed()
        assert before == 1
        for statement in statements():
            statement.seconds = durations.SLOW
        found = await asyncio.gather(*[in_task(balance(n)) for n in range(NUMBER)])
        assert found == [*range(NUMBER)]
        assert completed() == before
        # It was answered in no time so often that it is taken for quick again.
        while completed() == before:
            await in_task(balance(1))

    def statements():
        return [
            each
            for each in gc.get_objects()
            if type(each) is CompiledStatement and each.using == ALIAS
        ]

    shared(steps, number=2)


def test_how_often_one_has_to_be_quick():
    def times(seconds):
        number = 0
        while seconds > durations.QUICK:
            seconds = durations.average(seconds, 0.001, 1)
            number += 1
        return number

    assert 10 < times(durations.UNKNOWN) < 30
    assert 30 < times(durations.SLOW) < 60
    # A large result is slow, however soon it comes.
    assert durations.average(0.001, 0.001, durations.ROWS + 1) > durations.QUICK


def test_what_is_not_sent(shared):
    async def insert():
        return (await using().acreate(owner="new")).balance

    async def update():
        return await using().filter(owner="none").aupdate(balance=F("balance") + 1)

    async def lock():
        async with async_atomic(ALIAS):
            return [each.balance async for each in using().select_for_update().filter(owner="1")]

    async def in_block():
        async with async_connection(ALIAS):
            return await balance(1)

    async def by_function():
        slept = Func(Value(0), function="pg_sleep", output_field=IntegerField())
        return await using().filter(owner="1").annotate(x=slept).acount()

    async def large():
        return await using().filter(owner__in=["1", "x" * multiplexing.BYTES]).acount()

    async def streamed():
        return [each.balance async for each in using().filter(owner="1").aiterator()]

    async def steps():
        await share()
        for work in (insert, update, lock, in_block, by_function, large, streamed):
            if work is insert:
                await in_task(insert())
                await using().filter(owner="new").adelete()
                continue
            await in_task(work())
            assert await in_task(work()) in (0, 1, [1]), work
        assert completed() == 0

    shared(steps)


def test_a_large_result_is_sent_once(shared, monkeypatch):
    async def names():
        return sorted([each.owner async for each in using().filter(balance__gte=0)])

    async def steps():
        expected = sorted(str(number) for number in range(NUMBER))
        await in_task(names())
        monkeypatch.setattr(durations, "ROWS", NUMBER - 1)
        await share()
        for _ in range(3):
            assert await in_task(names()) == expected
        assert completed() == 1

    shared(steps)


def test_a_write_is_seen_by_the_next_read_of_a_task(shared):
    async def work(number):
        for value in range(10):
            await using().filter(owner=f"{number}").aupdate(balance=value)
            assert await balance(number) == value

    async def steps():
        await share()
        await asyncio.gather(*[in_task(work(n)) for n in range(NUMBER)])
        assert completed() >= 10 * NUMBER

    shared(steps, number=2)


PLAIN = 'SELECT "a"."b" FROM "a" WHERE '


@pytest.mark.parametrize(
    "sql",
    [
        PLAIN + '"a"."b" = %s LIMIT 21',
        PLAIN + '"a"."b" IN (%s, %s) AND NOT ("a"."c" IS NULL)',
        'SELECT COUNT(*) AS "__count" FROM "a"',
        'SELECT COALESCE(SUM("a"."b"), %s) FROM "a" GROUP BY 1 HAVING MAX("a"."b") > %s',
        PLAIN + 'EXISTS(SELECT 1 AS "a" FROM "b" U0 WHERE U0."id" = ("a"."b"))',
        '(SELECT "a"."b" FROM "a") UNION (SELECT "a"."b" FROM "a")',
        "SELECT (1)::varchar(10), UPPER(%s)",
    ],
)
def test_statements_that_are_sent(sql):
    assert is_shareable(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE a SET b = 1",
        "WITH x AS (DELETE FROM a RETURNING b) SELECT b FROM x",
        "select nextval('a')",
        "SELECT nextval('a')",
        """SELECT "nextval"('a')""",
        "SELECT pg_catalog.nextval ('a')",
        'SELECT "my count"(1)',
        "SELECT my$count(1)",
        "SELECT public.count(1)",
        "SELECT nextval/* */('a')",
        "SELECT nextval--\n('a')",
        "SELECT b INTO c FROM a",
        "SELECT b into c FROM a",
        "SELECT b FROM a FOR UPDATE",
        "SELECT b FROM a for no key update",
        "SELECT b FROM a FOR  KEY SHARE SKIP LOCKED",
        "SELECT 1; DELETE FROM a",
        "SELECT set_config('search_path', 'a', false)",
        "SELECT pg_advisory_lock(1)",
        "TABLE a",
        "COPY a TO STDOUT",
    ],
)
def test_statements_that_are_not_sent(sql):
    assert not is_shareable(sql)


# Prepared statements


def test_each_is_prepared_once_though_many_are_on_their_way(shared):
    async def steps():
        (one,) = await share()
        found = await asyncio.gather(*[in_task(balance(n % NUMBER)) for n in range(100)])
        assert found == [n % NUMBER for n in range(100)]
        await until(lambda: len(one.pipeline) == 0)
        await asyncio.gather(*[in_task(balance(n)) for n in range(NUMBER)])
        driver = one.driver
        one.end()
        assert len(driver.prepared) == 1
        (statement,) = await prepared_on(driver)
        assert 'WHERE "library_account"."owner" = $1' in statement

    shared(steps)


def test_more_than_may_be_prepared(shared, monkeypatch):
    monkeypatch.setattr(prepared, "THRESHOLD", 1)

    async def found(length):
        keys = [str(number) for number in range(length)]
        return await using().filter(owner__in=keys).acount()

    async def steps():
        (one,) = await share()
        most = prepared.MAX_PREPARED
        for start in range(1, most + 51, 10):
            lengths = range(start, start + 10)
            await asyncio.gather(*[in_task(found(length)) for length in lengths])
        await until(lambda: len(one.pipeline) == 0)
        lengths = range(1, most + 51)
        counted = await asyncio.gather(*[in_task(found(length)) for length in lengths])
        assert counted == [min(length, NUMBER) for length in lengths]
        await until(lambda: len(one.pipeline) == 0)
        driver = one.driver
        one.end()
        assert len(driver.prepared) == most
        assert len(await prepared_on(driver)) - len(driver.prepared._discarded) == most

    shared(steps)


def test_columns_that_are_of_other_types_where_it_is_prepared(shared, monkeypatch):
    """What is no number and no text with literals is none with parameters, either."""
    monkeypatch.setattr(prepared, "_columns", lambda result: [columns.pop()])
    columns = [*range(1000)]

    async def steps():
        (one,) = await share()
        for _ in range(2 * prepared.THRESHOLD):
            assert await in_task(balance(1)) == 1
        await until(lambda: len(one.pipeline) == 0)
        # It has none that are prepared, and goes to other connections, with literals.
        assert len(one.driver.prepared) == 0
        before = completed()
        assert await in_task(balance(1)) == 1
        assert completed() == before

    shared(steps)


CHANGES = {
    "another type": "ALTER TABLE library_account ALTER balance TYPE bigint",
    "another type of the parameter": "ALTER TABLE library_account ALTER owner TYPE text",
    "another column": "ALTER TABLE library_account ADD COLUMN more integer DEFAULT 5",
}
BACK = [
    "ALTER TABLE library_account DROP COLUMN IF EXISTS more",
    "ALTER TABLE library_account ALTER balance TYPE integer",
    "ALTER TABLE library_account ALTER owner TYPE varchar(50)",
]


@pytest.fixture
def back(scratch):
    yield
    with connection.cursor() as cursor:
        for statement in BACK:
            cursor.execute(statement)


@pytest.mark.parametrize("name", CHANGES)
def test_a_table_that_is_altered(name, shared, back):
    async def steps():
        await share()
        await asyncio.gather(*[in_task(balance(n % NUMBER)) for n in range(100)])
        await until(lambda: all(len(each.driver.prepared) for each in multiplexer().shared))
        await in_task(ask(CHANGES[name], using=ALIAS))
        for _ in range(2 * prepared.THRESHOLD):
            found = await asyncio.gather(*[in_task(balance(n)) for n in range(NUMBER)])
            assert found == [*range(NUMBER)]
        before = completed()
        await asyncio.gather(*[in_task(balance(n)) for n in range(NUMBER)])
        # They are prepared anew, and none is refused any more.
        assert completed() - before == NUMBER
        assert all(len(each.driver.prepared) == 1 for each in multiplexer().shared)

    shared(steps, number=2)


def test_a_session_that_is_reset(shared):
    async def steps():
        (one,) = await share()
        await asyncio.gather(*[in_task(balance(n % NUMBER)) for n in range(100)])
        await until(lambda: len(one.driver.prepared) == 1 and not len(one.pipeline))
        one.pipeline.send(b"DISCARD ALL", None, asyncio.get_running_loop())
        for _ in range(2 * prepared.THRESHOLD):
            found = await asyncio.gather(*[in_task(balance(n)) for n in range(NUMBER)])
            assert found == [*range(NUMBER)]
        driver = one.driver
        await until(lambda: not len(one.pipeline))
        one.end()
        assert len(await prepared_on(driver)) == len(driver.prepared) == 1

    shared(steps)


# Errors


async def answer(coroutine):
    try:
        return await coroutine
    except Exception as exc:
        return type(exc), type(exc.__cause__), str(exc)


@pytest.mark.parametrize("is_prepared", [False, True])
def test_errors_are_those_of_a_connection_of_its_own(is_prepared, shared, monkeypatch):
    async def divided(number):
        chosen = using().filter(owner="1").annotate(x=Value(7) / (F("balance") - number))
        return [each.x async for each in chosen]

    async def cast(text):
        chosen = using().filter(owner=Cast(Value(text), IntegerField()))
        return await chosen.acount()

    async def sample(amount):
        return await Sample.objects.using(ALIAS).filter(amount=amount).acount()

    async def ask_all():
        return [
            await answer(work)
            for work in (divided(2), divided(1), sample(Decimal(3)), balance(1), balance("none"))
        ]

    async def steps():
        with set_to(MULTIPLEX=0):
            for _ in range(3):
                expected = await in_task(ask_all())
        assert expected[0] == [-7]
        assert expected[1][0] is DataError
        await share()
        if is_prepared:
            for _ in range(2 * prepared.THRESHOLD):
                await asyncio.gather(*[in_task(divided(2)) for _ in range(5)])
        before = completed()
        for found in await asyncio.gather(*[in_task(ask_all()) for _ in range(10)]):
            assert found == expected
        assert completed() > before

    shared(steps)


def test_errors_between_good_statements(shared):
    async def divided(number):
        chosen = using().filter(owner=f"{number}").annotate(x=Value(7) / (F("balance") - 5))
        return [each.balance async for each in chosen]

    async def steps():
        for _ in range(2):
            await in_task(divided(1))
        (one,) = await share()
        found = await asyncio.gather(*[in_task(answer(divided(n))) for n in range(NUMBER)])
        assert [each for n, each in enumerate(found) if n != 5] == [
            [n] for n in range(NUMBER) if n != 5
        ]
        assert found[5][0] is DataError
        assert one.pipeline.completed >= NUMBER

    shared(steps)


def test_an_error_of_the_statement_is_not_executed_twice(shared):
    """Nor is what the server has cancelled."""

    async def steps():
        for _ in range(2):
            assert await in_task(divided(2)) == 7
        (one,) = await share()
        await in_task(balance(1))
        driver_pool = pool().driver_pool
        before = driver_pool.get_stats()["requests_num"]

        with pytest.raises(DataError, match="division by zero"):
            await in_task(divided(1))
        assert driver_pool.get_stats()["requests_num"] == before
        assert one.pipeline.completed == 2

    async def divided(number):
        chosen = using().filter(owner=f"{number}")
        return (await chosen.annotate(x=Value(7) / (F("balance") - 1)).aget()).x

    shared(steps)
