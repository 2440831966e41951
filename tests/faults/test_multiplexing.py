"""Shared connections under faults: each statement is answered, or told of its lost connection."""

import asyncio
import gc
import os
import random
import signal
import socket
import time
import weakref
from collections import Counter
from itertools import count

import pytest
from django.db import DataError, OperationalError
from django.db.models import F, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.fault import Action, Fault, Toward
from tests.faults.proxy import Proxy
from tests.library.models import Account, Author
from tests.support.cancellation import CancelledAt, at_once, too_late
from tests.support.clients import Rival, sessions_of_clients, until
from tests.support.event_loop import complaints_of_loop, only_the_event_loop
from tests.support.sharing import (
    ALIAS,
    ANY,
    at_rest,
    balance,
    look,
    multiplexer,
    pool,
    share,
    sharing,
    using,
)
from tests.support.statements import ask
from turbo_orm import async_atomic
from turbo_orm.driver import multiplexing, prepared
from turbo_orm.driver.loop_closing import drop

pytestmark = pytest.mark.usefixtures("scratch", "empty_cache")

NUMBER = 30


@pytest.fixture
def accounts(scratch):
    Account.objects.bulk_create(Account(owner=f"{n}", balance=n) for n in range(NUMBER))


@pytest.fixture
def rival(accounts):
    with Rival() as rival:
        yield rival


@pytest.fixture
def shared(run, accounts):
    """Return a function that runs a coroutine function, with what connections are shared."""

    def run_shared(function, *args, **options):
        async def steps():
            complaints = complaints_of_loop()
            await asyncio.create_task(ask("SELECT 1", using=ALIAS))
            for _ in range(2):
                await asyncio.create_task(balance(1))
                await asyncio.create_task(inverse(1))
                await asyncio.create_task(authors())
            result = await function(await share())
            await at_rest()
            gc.collect()
            await asyncio.sleep(0)
            assert complaints == []
            return result

        with sharing(*args, **options):
            return run(steps)

    return run_shared


async def inverse(number):
    """Return 100 divided by a balance: an error for 0."""
    chosen = using().filter(owner=f"{number}").annotate(x=Value(100) / F("balance"))
    return (await chosen.aget()).x


async def authors():
    return await Author.objects.using(ALIAS).acount()


async def answer(coroutine):
    try:
        return await coroutine
    except (DataError, OperationalError) as exc:
        return type(exc)


async def all_answers(numbers):
    return await asyncio.gather(*[asyncio.create_task(answer(balance(n))) for n in numbers])


def completed():
    return sum(each.pipeline.completed for each in multiplexer().shared)


# Cancellation


@pytest.mark.parametrize("way", [at_once, too_late])
@pytest.mark.parametrize("threshold", [1, 1000], ids=["prepared", "with literals"])
def test_a_task_cancelled_at_any_place_takes_no_other_with_it(way, threshold, shared, monkeypatch):
    monkeypatch.setattr(prepared, "THRESHOLD", threshold)

    async def play():
        assert await balance(3) == 3
        with pytest.raises(DataError):
            await inverse(0)
        assert await authors() >= 0
        await using().filter(owner="none").aupdate(balance=1)
        assert await inverse(4) == 25

    async def cancelled_at(number):
        cancelled = CancelledAt(play(), number, way=way)
        try:
            await cancelled
        except asyncio.CancelledError:
            assert cancelled.cancellations
        return cancelled

    async def steps(found):
        cancellations = 0
        for number in count(1):
            before = completed()
            others = [asyncio.create_task(all_answers(range(NUMBER))) for _ in range(2)]
            task = asyncio.create_task(cancelled_at(number))
            others += [asyncio.create_task(all_answers(range(NUMBER))) for _ in range(2)]
            assert await asyncio.gather(*others) == [[*range(NUMBER)]] * 4
            cancelled = await task
            cancellations += cancelled.cancellations
            await until(lambda: not any(len(each.pipeline) for each in found))
            assert completed() - before >= 4 * NUMBER
            assert multiplexer().shared == found
            if cancelled.suspensions < number:
                break
        return cancellations

    assert shared(steps) >= 5


def test_all_are_cancelled_while_their_results_arrive(shared):
    async def steps(found):
        for turns in range(12):
            tasks = [asyncio.create_task(balance(n)) for n in range(NUMBER)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert answers[1::2] == [*range(1, NUMBER, 2)]
            for number, each in enumerate(answers[::2]):
                assert each == 2 * number or isinstance(each, asyncio.CancelledError)
        assert multiplexer().shared == found

    shared(steps)


def test_two_thousand_tasks_a_tenth_of_them_cancelled(accounts, run, monkeypatch):
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    print(f"Seed: {seed}")

    async def work(number):
        for _ in range(chance.randrange(1, 4)):
            match chance.randrange(8):
                case 0:
                    assert await answer(inverse(0)) is DataError
                case 1:
                    await using().filter(owner=f"{number}").aupdate(balance=number)
                case 2:
                    async with async_atomic(ALIAS):
                        assert await balance(number) == number
                case 3:
                    assert await inverse(number or 1) == 100 // (number or 1)
                case _:
                    assert await balance(number) == number
        return number

    async def let_in(work):
        async with gate:
            return await work

    async def execute(self, *args):
        shared.add(weakref.ref(self))
        raised = None
        try:
            return await execute_shared(self, *args)
        except BaseException as exc:
            raised = type(exc)
            raise
        finally:
            outcomes[raised] += 1

    execute_shared = multiplexing.SharedConnection.execute

    async def steps():
        complaints = complaints_of_loop()
        await asyncio.create_task(ask("SELECT 1", using=ALIAS))
        for _ in range(2):
            await asyncio.create_task(balance(1))
            await asyncio.create_task(inverse(1))
        await share()
        tasks = {}
        for index in range(2_000):
            number = index % NUMBER
            if chance.random() < 0.1:
                place = chance.randrange(1, 6)
                work_of = CancelledAt(work(number), place, way=chance.choice([at_once, too_late]))
            else:
                work_of = work(number)
            tasks[asyncio.create_task(let_in(work_of))] = (number, work_of)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        cancellations = 0
        for (number, work_of), each in zip(tasks.values(), answers, strict=True):
            if isinstance(each, asyncio.CancelledError):
                cancellations += 1
                assert isinstance(work_of, CancelledAt)
            else:
                assert each == number, each
        assert 20 < cancellations < 400
        del answers, tasks, work_of
        await at_rest()
        gc.collect()
        assert complaints == []
        # Timers, callbacks and tasks are gone, and with them what they referred to.
        assert [each() for each in shared if each() is not None] == []

    # So many at a time.
    gate = asyncio.Semaphore(100)
    outcomes = Counter()
    shared = set()
    monkeypatch.setattr(multiplexing.SharedConnection, "execute", execute)
    with sharing(number=2, looks=True, max_size=12, timeout=60):
        run(steps)
    print(f"{len(shared)} shared connections: {outcomes}")
    assert outcomes[None] > 500


# What is slow


def test_those_behind_a_slow_one_go_elsewhere_and_it_keeps_the_connection(shared, rival):
    async def steps(found):
        (one,) = found
        rival.lock("library_account")
        slow = asyncio.create_task(balance(7))
        await until(rival.is_waited_for)
        behind = [asyncio.create_task(authors()) for _ in range(5)]
        await asyncio.sleep(0)
        assert len(one.pipeline) == 6
        await look()
        await asyncio.sleep(0.01)
        # They have waited for one look only.
        assert not any(task.done() for task in behind)
        assert multiplexer().shared == [one]
        await look()
        # It is still locked: they were answered on connections of their own.
        assert len({*await asyncio.gather(*behind)}) == 1
        assert not slow.done()
        assert multiplexer().shared != [one]
        assert one.is_open
        # And so is what comes now, while the connection is the slow one's.
        before = one.pipeline.completed
        assert await asyncio.create_task(authors()) >= 0
        assert one.pipeline.completed == before
        rival.commit()
        assert await slow == 7
        # It is known to be slow.
        before = completed()
        assert await asyncio.create_task(balance(8)) == 8
        assert completed() == before
        await until(lambda: not len(one.pipeline))
        # What was moved has been answered there, too, and was dropped.
        assert one.pipeline.completed == 6
        await look()
        assert not one.is_open

    shared(steps)


def test_those_that_wait_though_it_goes_on_go_elsewhere_too(shared, rival):
    """No statement of theirs is slow by itself, but there are too many of them."""

    async def steps(found):
        (one,) = found
        rival.lock("library_account")
        tasks = [asyncio.create_task(authors())]
        await tasks[0]
        tasks += [asyncio.create_task(balance(7)) for _ in range(5)]
        await until(rival.is_waited_for)
        await look()
        # As if one more was complete since.
        one._completed -= 1
        most = one.most
        await look()
        assert one.most == max(multiplexing.FEWEST, most // 2)
        assert multiplexer().shared == [one]
        rival.commit()
        assert await asyncio.gather(*tasks[1:]) == [7] * 5
        await until(lambda: not len(one.pipeline))
        for _ in range(40):
            await look()
        assert one.most == most

    shared(steps)


def test_what_no_task_waits_for_any_more_is_cancelled_on_the_server(shared, rival):
    async def steps(found):
        (one,) = found
        rival.lock("library_account")
        slow = asyncio.create_task(balance(7))
        await until(rival.is_waited_for)
        behind = [asyncio.create_task(authors()) for _ in range(5)]
        await asyncio.sleep(0)
        slow.cancel()
        for _ in range(3):
            await look()
        assert len({*await asyncio.gather(*behind)}) == 1
        await until(lambda: not rival.is_waited_for())
        await until(lambda: not len(one.pipeline))
        await until(one._cancelling.done)
        await look()
        assert not one.is_open
        assert not one.driver.closed
        with pytest.raises(asyncio.CancelledError):
            await slow

    shared(steps)


def test_not_more_than_so_many_are_sent(shared, monkeypatch, rival):
    async def steps(found):
        (one,) = found
        monkeypatch.setattr(multiplexing, "MOST", 4)
        rival.lock("library_account")
        tasks = [asyncio.create_task(balance(n)) for n in range(10)]
        await until(rival.is_waited_for)
        assert len(one.pipeline) == 4
        rival.commit()
        assert await asyncio.gather(*tasks) == [*range(10)]

    shared(steps)


# Lost connections


def assert_lost_together(found, numbers):
    """Assert that the answers are right up to where the connection was lost, and errors after."""
    lost = [each for each in found if each is OperationalError]
    number = len(found) - len(lost)
    assert found == [*numbers][:number] + lost


@pytest.mark.parametrize("action", [Action.RESET, Action.CLOSE])
@pytest.mark.parametrize("toward", Toward)
@pytest.mark.parametrize("unit", ["message", "passed"])
def test_a_connection_that_is_cut_at_any_place(unit, toward, action, accounts, run):
    """Between messages, so also between a result and its Sync, and in the middle of one."""
    numbers = range(4)
    step = {"message": 1, "passed": 11}[unit]

    async def steps(proxy):
        fates = set()
        for place in count(1, step):
            (one,) = await share()
            assert await all_answers([1]) == [1]
            fault = proxy.add(Fault(action, toward, **{unit: place}))
            tasks = asyncio.create_task(all_answers(numbers))
            found = await tasks
            assert_lost_together(found, numbers)
            fates.add(len([each for each in found if each is OperationalError]))
            if not fault.struck.is_set():
                proxy._faults.clear()
                break
            await until(lambda one=one: not one.is_open)
            assert one.driver.closed
            assert await all_answers(numbers) == [*numbers]
            await at_rest()
        return fates

    with Proxy() as proxy, sharing(proxy.database()):
        fates = run(lambda: prime_and(steps, proxy))
    # Some had none, some all, and some a part of the answers.
    assert {0, len(numbers)} <= fates
    assert len(fates) > 2 or toward is Toward.SERVER


async def prime_and(steps, *args):
    await asyncio.create_task(ask("SELECT 1", using=ALIAS))
    for _ in range(2):
        await asyncio.create_task(balance(1))
        await asyncio.create_task(authors())
    return await steps(*args)


@pytest.mark.parametrize("toward", Toward)
def test_a_backend_that_is_terminated_at_any_message(toward, accounts, run, rival):
    numbers = range(4)

    async def steps(proxy):
        fates = set()
        for place in count(1):
            (one,) = await share()
            assert await all_answers([1]) == [1]
            fault = proxy.add(Fault(Action.PAUSE, toward, message=place))
            tasks = asyncio.create_task(all_answers(numbers))
            await until(lambda fault=fault, tasks=tasks: fault.struck.is_set() or tasks.done())
            if not fault.struck.is_set():
                proxy._faults.clear()
                assert await tasks == [*numbers]
                break
            rival.terminate(one.driver.pgconn.backend_pid)
            # Others are not concerned.
            with_own = asyncio.create_task(ask("SELECT 7", using=ALIAS))
            proxy.resume()
            found = await tasks
            assert_lost_together(found, numbers)
            fates.add(len([each for each in found if each is OperationalError]))
            assert await with_own == [("7",)]
            await until(lambda one=one: not one.is_open)
            assert await all_answers(numbers) == [*numbers]
            await at_rest()
        return fates

    with Proxy() as proxy, sharing(proxy.database()):
        fates = run(lambda: prime_and(steps, proxy))
    assert 0 in fates or len(numbers) in fates


@pytest.mark.parametrize("way", ["shut down", "closed"])
def test_a_socket_that_is_gone_when_something_is_sent(way, shared, monkeypatch):
    """libpq refuses to send, or to flush: of statements, or of what is to be prepared."""
    monkeypatch.setattr(prepared, "THRESHOLD", 1)

    def end(pgconn):
        if way == "closed":
            pgconn.finish()
        else:
            found = socket.socket(fileno=pgconn.socket)
            found.shutdown(socket.SHUT_RDWR)
            found.detach()

    async def steps(found):
        for turns in range(4):
            (one,) = await share()
            tasks = [asyncio.create_task(answer(balance(n))) for n in range(5)]
            for _ in range(turns):
                await asyncio.sleep(0)
            end(one.driver.pgconn)
            tasks += [asyncio.create_task(answer(balance(n))) for n in range(5)]
            answers = await asyncio.gather(*tasks)
            for number, each in enumerate(answers):
                assert each in (number % 5, OperationalError)
            assert OperationalError in answers
            assert not one.is_open
            assert one.driver.closed
            assert await all_answers(range(NUMBER)) == [*range(NUMBER)]

    shared(steps)


def test_the_error_says_what_the_server_has_said(shared, rival):
    async def steps(found):
        (one,) = found
        rival.lock("library_account")
        tasks = [asyncio.create_task(balance(n)) for n in range(3)]
        await until(rival.is_waited_for)
        rival.terminate(one.driver.pgconn.backend_pid)
        for task in tasks:
            with pytest.raises(OperationalError, match=r"terminating connection|closed the"):
                await task

    shared(steps)


def test_a_session_that_the_server_ends_while_nothing_is_done(shared, rival):
    async def steps(found):
        (one,) = found
        assert await all_answers([1]) == [1]
        rival.terminate(one.driver.pgconn.backend_pid)
        await until(lambda: not one.is_open)
        assert await all_answers(range(NUMBER)) == [*range(NUMBER)]

    shared(steps)


def test_a_notification_that_comes_while_nothing_is_done(shared):
    async def steps(found):
        (one,) = found
        driver = one.driver
        one.end()
        await driver.exchange(b"LISTEN turbo_orm_test")
        assert multiplexer().adopt(pool().driver_pool._pool.pop(), ANY)
        (one,) = multiplexer().shared
        driver = one.driver
        assert await all_answers([1]) == [1]
        await asyncio.create_task(ask("NOTIFY turbo_orm_test", using=ALIAS))
        await until(lambda: not one.is_open)
        assert not driver.has_ended
        assert await all_answers([1]) == [1]
        for one in [*multiplexer().shared]:
            # It may have been shared again.
            one.end()
        await driver.exchange(b"UNLISTEN *")

    shared(steps)


def test_a_socket_that_takes_no_more(accounts, run):
    """The proxy reads nothing, until it is told to."""
    numbers = [*range(NUMBER)] * 4
    text = "x" * (multiplexing.BYTES - 100)

    async def found(number):
        return await using().filter(owner__in=[f"{number}", text]).acount()

    async def steps(proxy):
        for _ in range(2):
            await asyncio.create_task(found(1))
        for end in (proxy.resume, proxy.reset):
            (one,) = await share()
            shrink(one.driver.pgconn.socket)
            proxy.pause()
            tasks = [asyncio.create_task(answer(found(n))) for n in numbers]
            await until(lambda one=one: one.driver._reader._watches_writing)
            end()
            answers = {*await asyncio.gather(*tasks)}
            if end == proxy.resume:
                assert answers == {1}
                assert not one.driver._reader._watches_writing
            else:
                assert answers == {OperationalError}
                assert not one.is_open
            assert await all_answers([1]) == [1]
            await at_rest()

    with Proxy() as proxy, sharing(proxy.database()):
        run(lambda: prime_and(steps, proxy))


def shrink(fd):
    """Have a socket take little at a time."""
    found = socket.socket(fileno=fd)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    found.detach()


def test_results_that_are_larger_than_the_socket_takes(shared):
    async def names():
        chosen = using().filter(balance__gte=0).order_by("pk").annotate(x=Value("y" * 10_000))
        return [(each.balance, len(each.x)) async for each in chosen]

    async def steps(found):
        for _ in range(2):
            await asyncio.create_task(names())
        (one,) = await share()
        answers = await asyncio.gather(
            *[asyncio.create_task(names() if n % 2 else balance(n)) for n in range(NUMBER)]
        )
        expected = [(n, 10_000) for n in range(NUMBER)]
        for number, each in enumerate(answers):
            assert each == (expected if number % 2 else number)
        assert one.pipeline.completed >= 20

    shared(steps)


# The loop ends


@pytest.fixture
def sessions(driver):
    """Return a function that returns the sessions of all clients."""

    def found():
        return sessions_of_clients(driver)

    return found


@pytest.fixture
def interruptible():
    """Have SIGINT raise ``KeyboardInterrupt``, also in a process that was started to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("lock", [False, True], ids=["quick", "slow"])
@pytest.mark.parametrize("ends", ["run", "interrupt", "close"])
@pytest.mark.parametrize("new_loop", ["asyncio", "uvloop"])
def test_a_loop_that_ends_with_statements_on_their_way(
    new_loop, ends, lock, accounts, rival, sessions, caplog
):
    factory = (
        asyncio.new_event_loop
        if new_loop == "asyncio"
        else pytest.importorskip("uvloop").new_event_loop
    )

    async def steps():
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await asyncio.create_task(ask("SELECT 1", using=ALIAS))
        for _ in range(2):
            await asyncio.create_task(balance(1))
            await asyncio.create_task(authors())
        found = await share()
        if lock:
            rival.lock("library_account")
        tasks = [asyncio.create_task(balance(n)) for n in range(NUMBER)]
        if lock:
            await until(rival.is_waited_for)
        else:
            await asyncio.sleep(0)
        assert sum(len(each.pipeline) for each in found) > 0
        if ends == "interrupt":
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(10)
        # They are left to the loop.
        return [weakref.ref(task) for task in tasks]

    loops = []
    before = sessions()
    with sharing(number=2), only_the_event_loop():
        if ends == "close":
            loop = factory()
            drop_all(loop.run_until_complete(steps()))
            loop.close()
            del loop
        elif ends == "interrupt":
            with pytest.raises(KeyboardInterrupt), asyncio.Runner(loop_factory=factory) as runner:
                runner.run(steps())
            del runner
        else:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(steps())
            del runner
    if ends == "close":
        # One is cancelled on the server, and the next one is executed.
        rival.commit()
    # What runs is cancelled on the server, though the table is still locked.
    deadline = time.monotonic() + 5
    while sessions() - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sessions() == before
    gc.collect()
    assert [loop() for loop in loops] == [None]
    assert [each.getMessage() for each in caplog.records if each.name == "psycopg.pool"] == []


def drop_all(tasks):
    """Have asyncio not complain of tasks that are left, as the test has wanted."""
    for task in tasks:
        found = task()
        if found is not None:
            drop(found)


def test_a_process_that_is_forked(shared):
    """What the parent's connections are to the child: nothing."""

    async def steps(found):
        tasks = [asyncio.create_task(balance(n)) for n in range(NUMBER)]
        await asyncio.sleep(0)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                del found, tasks
                gc.collect()
                code = 0
            finally:
                os._exit(code)
        assert await asyncio.gather(*tasks) == [*range(NUMBER)]
        _, status = os.waitpid(pid, 0)  # noqa: ASYNC222
        assert status == 0
        assert await all_answers(range(NUMBER)) == [*range(NUMBER)]
        assert multiplexer().shared == found

    shared(steps)


# Anything


KINDS = st.sampled_from(["get", "count", "inverse", "list", "page", "update", "transaction"])


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(KINDS, st.integers(0, NUMBER + 1), st.booleans()), max_size=30))
def test_random_mixes_are_answered_as_by_django(accounts, works):
    def django(kind, number):
        plain = Account.objects.using("default")
        try:
            return sync_answer(plain, kind, number)
        except Exception as exc:
            return type(exc), str(exc)

    async def ours(kind, number):
        try:
            return await async_answer(using(), kind, number)
        except Exception as exc:
            return type(exc), str(exc)

    async def steps():
        await asyncio.create_task(ask("SELECT 1", using=ALIAS))
        await share()
        for _ in range(3):
            tasks = [asyncio.create_task(ours(kind, number)) for kind, number, _ in works]
            await asyncio.sleep(0)
            for task, (_, _, is_cancelled) in zip(tasks, works, strict=True):
                if is_cancelled:
                    task.cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            for each, wanted, work in zip(found, expected, works, strict=True):
                assert each == wanted or (work[2] and isinstance(each, asyncio.CancelledError))
        await at_rest()

    expected = [django(kind, number) for kind, number, _ in works]
    with sharing(number=2, looks=True), only_the_event_loop():
        asyncio.run(steps())


def sync_answer(plain, kind, number):
    match kind:
        case "get":
            return plain.get(owner=f"{number}").balance
        case "count":
            return plain.filter(balance__lt=number).count()
        case "inverse":
            return plain.annotate(x=Value(100) / F("balance")).get(owner=f"{number}").x
        case "list":
            return [each.owner for each in plain.filter(balance__lt=number).order_by("pk")]
        case "page":
            return [each.owner for each in plain.order_by("-balance")[number : number + 3]]
        case "update":
            return plain.filter(owner=f"{number}").update(balance=F("balance"))
        case _:
            return plain.get(owner=f"{number}").balance


async def async_answer(chosen, kind, number):
    match kind:
        case "get":
            return (await chosen.aget(owner=f"{number}")).balance
        case "count":
            return await chosen.filter(balance__lt=number).acount()
        case "inverse":
            found = await chosen.annotate(x=Value(100) / F("balance")).aget(owner=f"{number}")
            return found.x
        case "list":
            return [e.owner async for e in chosen.filter(balance__lt=number).order_by("pk")]
        case "page":
            return [e.owner async for e in chosen.order_by("-balance")[number : number + 3]]
        case "update":
            return await chosen.filter(owner=f"{number}").aupdate(balance=F("balance"))
        case _:
            async with async_atomic(ALIAS):
                return (await chosen.aget(owner=f"{number}")).balance
