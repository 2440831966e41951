"""The bridge: sync code that awaits."""

import asyncio
import gc
import sys
import threading
import weakref
from contextlib import suppress
from contextvars import ContextVar

import pytest

from tests.support.event_loop import played
from turbo_orm import bridge
from turbo_orm.bridge import Checkpoints, await_, greenlets, run

VARIABLE = ContextVar("VARIABLE", default="unset")


class OfNoAccount(Exception):
    """Raised by the tests alone."""


async def soon(value):
    await asyncio.sleep(0)
    return value


async def fail_soon(exception):
    await asyncio.sleep(0)
    raise exception


# run() and await_()


@played
async def test_run_returns_what_the_function_returns():
    assert await run(lambda: 42) == 42
    assert await run(lambda: None) is None
    awaitable = asyncio.get_running_loop().create_future()
    assert await run(lambda: awaitable) is awaitable


@played
async def test_run_passes_arguments_on():
    def function(*args, **kwargs):
        return args, kwargs

    assert await run(function, 1, 2, three=3) == ((1, 2), {"three": 3})


@played
async def test_run_raises_what_the_function_raises():
    exception = OfNoAccount("text")

    def function():
        raise exception

    with pytest.raises(OfNoAccount) as caught:
        await run(function)
    assert caught.value is exception
    assert "function" in [entry.name for entry in caught.traceback]


@played
async def test_await_returns_what_is_awaited():
    def function():
        return [await_(soon(number)) for number in range(3)]

    assert await run(function) == [0, 1, 2]


@played
async def test_await_takes_any_awaitable():
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, "result")
    assert await run(await_, future) == "result"
    task = asyncio.create_task(soon("of a task"))
    assert await run(await_, task) == "of a task"


@played
async def test_await_raises_where_it_stands():
    def function():
        try:
            await_(fail_soon(OfNoAccount("text")))
        except OfNoAccount as exc:
            return await_(soon(str(exc)))
        return "not reached"

    assert await run(function) == "text"


@played
async def test_exceptions_that_are_not_caught_pass_through():
    def function():
        await_(fail_soon(OfNoAccount))

    with pytest.raises(OfNoAccount):
        await run(function)


@played
async def test_a_stop_iteration_passes_through_as_a_runtime_error():
    """As it does in a coroutine."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        await run(next, iter(()))


@played
async def test_an_exception_that_is_handled_is_handled_in_the_function_too():
    exception = OfNoAccount("text")

    def function():
        before = sys.exception()
        await_(soon(None))
        return before, sys.exception()

    assert await run(function) == (None, None)
    try:
        raise exception
    except OfNoAccount:
        traceback = exception.__traceback__
        assert await run(function) == (exception, exception)
        assert await run(lambda: await_(run(function))) == (exception, exception)
    # It comes from where it came from.
    assert exception.__traceback__ is traceback
    assert await run(function) == (None, None)


@played
async def test_what_is_raised_meanwhile_has_it_for_its_context():
    def function():
        raise KeyError

    def raising_again():
        raise

    handled = OfNoAccount("text")
    try:
        raise handled
    except OfNoAccount:
        with pytest.raises(KeyError) as caught:
            await run(function)
        with pytest.raises(OfNoAccount) as again:
            await run(raising_again)
    assert caught.value.__context__ is handled
    assert again.value is handled


@played
async def test_what_the_function_was_handling_stays_the_context_of_what_it_raises():
    def function():
        try:
            raise KeyError
        except KeyError:
            await_(asyncio.sleep(0))
            raise LookupError  # noqa: B904

    handled = OfNoAccount("text")
    try:
        raise handled
    except OfNoAccount:
        with pytest.raises(LookupError) as caught:
            await run(function)
    context = caught.value.__context__
    assert isinstance(context, KeyError)
    assert context.__context__ is handled


@played
async def test_other_tasks_run_meanwhile():
    turns = []

    def function(name):
        for _ in range(3):
            turns.append(name)
            await_(asyncio.sleep(0))

    await asyncio.gather(run(function, "a"), run(function, "b"))
    assert turns == ["a", "b"] * 3


@played
async def test_it_is_all_one_thread():
    def function():
        await_(soon(1))
        return threading.get_ident()

    assert await run(function) == threading.get_ident()


@played
async def test_runs_nest():
    """A coroutine that the bridge awaits may use a bridge of its own."""

    async def outer(depth):
        def function():
            below = await_(outer(depth - 1)) if depth else []
            return [depth, await_(soon(depth)), *below]

        return await run(function)

    assert await outer(3) == [3, 3, 2, 2, 1, 1, 0, 0]


@played
async def test_an_inner_run_raises_into_the_outer_function():
    def inner():
        await_(fail_soon(OfNoAccount("inner")))

    def outer():
        try:
            await_(run(inner))
        except OfNoAccount as exc:
            return str(exc)
        return "not reached"

    assert await run(outer) == "inner"


@played
async def test_active_is_true_on_the_bridge_alone():
    def function():
        before = bridge.active()
        await_(asyncio.sleep(0))
        return before, bridge.active(), await_(asyncio.create_task(in_a_task()))

    async def in_a_task():
        return bridge.active()

    assert not bridge.active()
    assert await run(function) == (True, True, False)
    assert not bridge.active()


@played
async def test_a_coroutine_that_is_awaited_is_on_the_bridge_too():
    """So that sync code which it calls can await."""

    async def coroutine():
        before = bridge.active()
        first = await soon("awaited")
        return before, first, await_(soon("bridged")), bridge.active()

    assert await run(lambda: await_(coroutine())) == (True, "awaited", "bridged", True)


@played
async def test_what_does_not_wait_does_not_wait():
    turns = []

    async def at_once():
        return "at once"

    def function():
        asyncio.get_running_loop().call_soon(turns.append, "turn")
        answers = [await_(at_once()) for _ in range(3)]
        turns.append("answered")
        return answers

    assert await run(function) == ["at once"] * 3
    assert turns == ["answered"]


@played
async def test_a_coroutine_catches_what_it_waits_for():
    async def coroutine():
        with pytest.raises(OfNoAccount):
            await fail_soon(OfNoAccount)
        raise LookupError("its own")

    with pytest.raises(LookupError, match="its own"):
        await run(lambda: await_(coroutine()))


@played
async def test_a_coroutine_uses_what_belongs_to_its_task():
    async def coroutine():
        task = asyncio.current_task()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        async with asyncio.Lock(), asyncio.TaskGroup() as group:
            group.create_task(soon(1))
        return task

    assert await run(lambda: await_(coroutine())) is asyncio.current_task()


def test_await_outside_of_the_bridge_is_an_error():
    with pytest.raises(RuntimeError, match=r"only be called by code that bridge\.run\(\)"):
        await_(soon(1))


@played
async def test_await_in_a_coroutine_is_an_error_and_closes_what_is_not_awaited():
    coroutine = soon(1)
    with pytest.raises(RuntimeError, match="only be called by code"):
        await_(coroutine)
    # Otherwise a warning says that it was never awaited.
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        await coroutine


@played
async def test_await_in_another_thread_is_an_error():
    def function():
        return await_(asyncio.to_thread(elsewhere))

    def elsewhere():
        with pytest.raises(RuntimeError, match="only be called by code"):
            await_(soon(1))
        return "done"

    assert await run(function) == "done"


# The context


@played
async def test_context_variables_are_shared_with_the_task():
    def function():
        seen = [VARIABLE.get()]
        VARIABLE.set("by the function")
        await_(asyncio.sleep(0))
        seen.append(VARIABLE.get())
        await_(set_variable("by a coroutine"))
        seen.append(VARIABLE.get())
        return seen

    async def set_variable(value):
        VARIABLE.set(value)

    VARIABLE.set("by the task")
    assert await run(function) == ["by the task", "by the function", "by a coroutine"]
    assert VARIABLE.get() == "by a coroutine"


@played
async def test_context_variables_are_not_shared_with_other_tasks():
    async def work(name):
        VARIABLE.set(name)

        def function():
            seen = []
            for _ in range(3):
                await_(asyncio.sleep(0))
                seen.append(VARIABLE.get())
            VARIABLE.set(f"{name} changed")
            return seen

        return await run(function), VARIABLE.get()

    answers = await asyncio.gather(*[asyncio.create_task(work(name)) for name in "ab"])
    assert answers == [(["a"] * 3, "a changed"), (["b"] * 3, "b changed")]
    assert VARIABLE.get() == "unset"


@played
async def test_an_exception_leaves_the_context_variables_set():
    def function():
        VARIABLE.set("by the function")
        raise OfNoAccount

    with pytest.raises(OfNoAccount):
        await run(function)
    assert VARIABLE.get() == "by the function"


# Cancelled and closed


@played
async def test_cancellation_is_raised_where_the_function_waits():
    places = []

    def function():
        try:
            await_(asyncio.sleep(60))
        except asyncio.CancelledError:
            places.append("except")
            raise
        finally:
            # What cleans up may wait.
            places.append(await_(soon("finally")))

    task = asyncio.create_task(run(function))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert places == ["except", "finally"]


@played
async def test_cancellation_is_raised_in_the_coroutine_that_waits():
    places = []

    async def coroutine():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            places.append("coroutine")

    def function():
        try:
            await_(coroutine())
        finally:
            places.append("function")

    task = asyncio.create_task(run(function))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert places == ["coroutine", "function"]


@played
async def test_a_function_may_outlive_a_cancellation():
    def function():
        with suppress(asyncio.CancelledError):
            await_(asyncio.sleep(60))
        return await_(soon("survived"))

    task = asyncio.create_task(run(function))
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "survived"


@played
async def test_a_timeout_reaches_the_function():
    def function():
        await_(asyncio.sleep(60))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await run(function)


@played
async def test_a_timeout_within_the_function():
    async def in_time():
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)

    def function():
        with pytest.raises(TimeoutError):
            await_(in_time())
        return "in time"

    assert await run(function) == "in time"


@played
async def test_closing_the_coroutine_ends_the_function():
    ended = []

    def function():
        try:
            await_(asyncio.sleep(60))
        except GeneratorExit:
            ended.append("GeneratorExit")
            raise
        finally:
            ended.append("finally")

    coroutine = run(function)
    coroutine.send(None)
    coroutine.close()
    assert ended == ["GeneratorExit", "finally"]


@played
async def test_a_function_cannot_wait_after_its_coroutine_was_closed():
    waiting = soon("never")

    def function():
        try:
            await_(asyncio.sleep(60))
        finally:
            with pytest.raises(RuntimeError, match="was closed while it waited"):
                await_(waiting)

    coroutine = run(function)
    coroutine.send(None)
    coroutine.close()
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        await waiting


@played
async def test_a_call_leaves_nothing_for_the_garbage_collector():
    """The bridge is kept for the next call, and refers to nothing of this one."""

    class Thing:
        pass

    found = []

    def function(thing, *, fails):
        found.append(weakref.ref(thing))
        await_(asyncio.sleep(0))
        if fails:
            raise LookupError(thing)
        return thing

    # The first one calls by a new bridge.
    greenlets._idle.bridges.clear()
    gc.disable()
    try:
        for fails in (False, True):
            with suppress(LookupError):
                await run(function, Thing(), fails=fails)
            assert len(greenlets._idle.bridges) == 1
        assert [thing() for thing in found] == [None, None]
    finally:
        gc.enable()


@played
async def test_a_bridge_calls_one_function_after_another():
    bridges = []
    variable = ContextVar("variable", default="unset")

    def function(fails):
        bridges.append(bridge.outermost())
        seen = variable.get()
        variable.set("set")
        await_(asyncio.sleep(0))
        if fails:
            raise LookupError("of the first")
        return seen

    async def task(fails):
        return await run(function, fails)

    with pytest.raises(LookupError) as caught:
        await asyncio.create_task(task(True))
    assert await asyncio.create_task(task(False)) == "unset"
    assert bridges[0] is bridges[1]
    names = [entry.name for entry in caught.traceback]
    assert names[-1] == "function"
    assert "_serve" not in names
    assert caught.value.__context__ is None


@played
async def test_bridges_that_run_side_by_side_are_several():
    bridges = []

    def function():
        bridges.append(bridge.outermost())
        await_(asyncio.sleep(0))

    await asyncio.gather(*[run(function) for _ in range(100)])
    assert len({*bridges}) == 100
    weak = [weakref.ref(bridges.pop()) for _ in range(100)]
    # So many are kept, and the others freed at once.
    assert sum(each() is not None for each in weak) == 64


def test_the_bridges_of_a_thread_are_its_own():
    bridges = []

    def function():
        bridges.append(bridge.outermost())
        await_(asyncio.sleep(0))

    for _ in range(2):
        thread = threading.Thread(target=lambda: asyncio.run(run(function)))
        thread.start()
        thread.join()
    asyncio.run(run(function))
    assert len({*bridges}) == 3


def bridges_in_memory():
    gc.collect()
    return sum(type(each) is bridge.Bridge for each in gc.get_objects())


def test_bridges_are_freed_that_are_more_than_are_kept(monkeypatch):
    monkeypatch.setattr(greenlets, "_MOST_IDLE", 3)

    async def burst():
        greenlets._idle.bridges.clear()
        before = bridges_in_memory()
        await asyncio.gather(*[run(lambda: await_(asyncio.sleep(0))) for _ in range(20)])
        return bridges_in_memory() - before

    assert asyncio.run(burst()) == 3


def test_bridges_are_freed_when_their_thread_ends():
    def nested():
        return await_(run(await_, asyncio.sleep(0)))

    before = bridges_in_memory()
    for _ in range(5):
        thread = threading.Thread(target=lambda: asyncio.run(run(nested)))
        thread.start()
        thread.join()
    assert bridges_in_memory() == before


def test_a_bridge_is_freed_whose_function_awaits_where_nothing_can():
    before = bridges_in_memory()
    for _ in range(5):
        greenlets._idle.bridges.clear()
        with pytest.raises(RuntimeError, match="nothing can be awaited there"):
            greenlets.with_stand_in("default", None, await_, asyncio.sleep(0))
    greenlets._idle.bridges.clear()
    assert bridges_in_memory() <= before


@played
async def test_a_forgotten_coroutine_ends_the_function():
    ended = []

    def function():
        try:
            await_(asyncio.sleep(60))
        finally:
            ended.append("finally")

    coroutine = run(function)
    coroutine.send(None)
    del coroutine
    gc.collect()
    assert ended == ["finally"]


@played
async def test_a_coroutine_that_is_never_started_calls_nothing():
    coroutine = run(pytest.fail, "was called")
    coroutine.close()


@played
async def test_nothing_of_a_run_is_kept():
    class Value:
        pass

    value = Value()

    def function(value):
        await_(asyncio.sleep(0))
        raise OfNoAccount

    with pytest.raises(OfNoAccount):
        await run(function, value)
    kept = weakref.ref(value)
    del value
    gc.collect()
    assert kept() is None


# Checkpoints


@pytest.mark.parametrize(
    ("interval", "turns"),
    [(0, ["function", "other"] * 3), (60, ["function", "function", "function", "other"])],
)
def test_long_work_yields_to_other_tasks_now_and_then(interval, turns, monkeypatch):
    monkeypatch.setattr(Checkpoints, "INTERVAL", interval)
    assert asyncio.run(turns_taken())[: len(turns)] == turns


async def turns_taken():
    taken = []

    async def count():
        while True:
            taken.append("other")
            await asyncio.sleep(0)

    def function():
        checkpoints = Checkpoints()
        for _ in range(3):
            taken.append("function")
            checkpoints.maybe_yield()

    counting = asyncio.create_task(count())
    await run(function)
    await asyncio.sleep(0)
    counting.cancel()
    return taken


def test_no_checkpoint_is_taken_without_a_bridge(monkeypatch):
    monkeypatch.setattr(Checkpoints, "INTERVAL", 0)
    assert Checkpoints().maybe_yield() is None
