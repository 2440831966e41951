"""A reply is a future that tasks know, whose task goes on in the call that brings the results."""

import asyncio
import gc
import weakref
from contextvars import ContextVar

import pytest

from turbo_orm._core import Reply

VARIABLE = ContextVar("VARIABLE", default="outside")


@pytest.fixture(params=["task", "eager task", "debug"])
def play(request):
    """Return a function that runs a coroutine function in an event loop."""

    def played(function):
        async def main():
            loop = asyncio.get_running_loop()
            loop.set_debug(request.param == "debug")
            if request.param == "eager task":
                loop.set_task_factory(asyncio.eager_task_factory)
            return await asyncio.create_task(function(loop))

        return asyncio.run(main())

    return played


def test_the_task_goes_on_at_once(play):
    seen = []

    async def wait(reply):
        VARIABLE.set("inside")
        seen.append((await reply, VARIABLE.get(), asyncio.current_task().get_name()))
        await asyncio.sleep(0)
        return "returned"

    async def steps(loop):
        reply = Reply(loop)
        task = asyncio.create_task(wait(reply), name="waiting")
        await asyncio.sleep(0)
        assert not reply.done()

        def bring():
            reply.set_result(["results"])
            # Not in the next turn.
            assert seen == [(["results"], "inside", "waiting")]

        loop.call_soon(bring)
        assert await task == "returned"
        assert (reply.done(), reply.cancelled(), reply.result()) == (True, False, ["results"])
        # It is for once.
        reply.set_result([])
        assert await reply == ["results"]

    play(steps)
    assert VARIABLE.get() == "outside"


@pytest.mark.parametrize("is_early", [True, False])
def test_an_exception(is_early, play):
    async def steps(loop):
        reply = Reply(loop)
        if is_early:
            reply.set_exception(LookupError("why"))
        else:
            loop.call_soon(reply.set_exception, LookupError("why"))
        with pytest.raises(LookupError, match="why"):
            await reply
        assert reply.done()
        assert not reply.cancelled()

    play(steps)


@pytest.mark.parametrize("message", [None, "why"])
def test_cancelled(message, play):
    async def wait(reply):
        await reply

    async def steps(loop):
        reply = Reply(loop)
        task = asyncio.create_task(wait(reply))
        await asyncio.sleep(0)
        task.cancel(message)
        with pytest.raises(asyncio.CancelledError, match=message):
            await task
        assert reply.cancelled()
        # Results come for nothing then.
        reply.set_result([])
        reply.set_exception(LookupError())
        with pytest.raises(asyncio.CancelledError):
            reply.result()
        assert not reply.cancel()

    play(steps)


def test_within_a_time(play):
    async def steps(loop):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await Reply(loop)
        reply = Reply(loop)
        loop.call_later(0.01, reply.set_result, 1)
        async with asyncio.timeout(10):
            assert await reply == 1

    play(steps)


def test_callbacks(play):
    called = []

    async def steps(loop):
        reply = Reply(loop)
        reply.add_done_callback(called.append)
        reply.add_done_callback(print)
        assert reply.remove_done_callback(print) == 1
        assert reply.remove_done_callback(print) == 0
        with pytest.raises(RuntimeError, match="not arrived"):
            reply.result()
        loop.call_soon(reply.set_result, 1)
        await reply
        assert called == [reply]
        # One that comes later is called in the next turn.
        reply.add_done_callback(called.append)
        assert called == [reply]
        await asyncio.sleep(0)
        assert called == [reply, reply]
        assert reply.get_loop() is loop

    play(steps)


def test_it_is_collected():
    class Holder:
        pass

    holder = Holder()
    reply = Reply(None)
    holder.reply = reply
    reply.add_done_callback(lambda _, holder=holder: None)
    known = weakref.ref(holder)
    del holder, reply
    gc.collect()
    assert known() is None
