"""Runs sync code in a greenlet, so that its database calls can await.

Django's ORM is written in plain functions. ``run()`` calls one of them inside a greenlet; where
it reaches the database, ``await_()`` switches to the event loop, which awaits the driver, and
switches back with the result. The function is an ordinary one, as for a blocking call. There is
no thread, and no code of Django's is copied.

The bridge knows nothing of databases: the wrappers and cursors of **backend** call ``await_()``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextvars import ContextVar
from functools import partial
from time import perf_counter
from types import FrameType
from typing import Any

from greenlet import getcurrent, greenlet

from turbo_orm.bridge import installation

#: What runs, in a thread that waits for the running coroutine, all that is given to the bridge.
in_calling_thread: ContextVar[Any] = ContextVar("turbo_orm_in_calling_thread", default=None)


class Bridge(greenlet):
    """A greenlet in which sync code may await. It shares its task's context variables."""

    def __init__(self, function: Callable[..., Any]) -> None:
        task = getcurrent()
        super().__init__(function, task)
        self.gr_context = task.gr_context
        self.abandoned = False
        # None where it is the outermost itself: a reference to itself would leave it to the
        # garbage collector.
        self._outer: Bridge | None = task.outermost if isinstance(task, Bridge) else None
        self._exits: list[Callable[[], None]] = []
        #: What ``django.db.connections`` answers with in place of connections, by alias.
        self.stand_ins: dict[str, Any] = {}
        #: Whether the code that runs may call what Django forbids where an event loop runs.
        self.may_wait = False

    @property
    def outermost(self) -> Bridge:
        """The bridge that this one runs on, or that one on, and so forth: itself, if on none."""
        return self._outer or self

    def at_exit(self, function: Callable[[], None]) -> None:
        """Call a function when the code on the bridge has returned or raised."""
        self._exits.append(function)

    def exit(self) -> None:
        """Call what ``at_exit()`` was given."""
        exits, self._exits = self._exits, []
        for function in exits:
            function()

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Switch to the task, which awaits, and return the result. What that raises is raised."""
        if self.abandoned:
            raise RuntimeError(
                "The coroutine that runs this code was closed while it waited for the database."
            )
        assert self.parent is not None
        return self.parent.switch(awaitable)


def active() -> bool:
    """Return whether the caller runs on the bridge, so that ``await_()`` can be called."""
    return isinstance(getcurrent(), Bridge)


def allowed_to_wait[**P, R](function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function, on the bridge, that calls what is ``async_unsafe`` to Django.

    It is safe if all that it waits for is awaited.
    """
    current: Any = getcurrent()
    before, current.may_wait = current.may_wait, True
    try:
        return function(*args, **kwargs)
    finally:
        current.may_wait = before


def may_wait() -> bool:
    """Return whether ``allowed_to_wait()`` has called the code that runs."""
    current = getcurrent()
    return isinstance(current, Bridge) and current.may_wait


def with_stand_in[**P, R](
    alias: str, connection: Any, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
) -> R:
    """Call a function to which ``connections[alias]`` is another connection. It must not await.

    Raises ``ImproperlyConfigured`` where turbo-orm is not installed: the function would use
    Django's own connection.
    """
    if not installation.is_installed:
        installation.require()
    bridge = Bridge(function)
    bridge.stand_ins[alias] = connection
    result: R = bridge.switch(*args, **kwargs)
    if not bridge.dead:
        bridge.throw()
        raise RuntimeError(
            f"{function!r} awaits the database, where another connection stands in for "
            f"connections[{alias!r}]: nothing can be awaited there."
        )
    return result


def stand_in(alias: str) -> Any:
    """Return what stands in for a connection in the code that runs, or ``None``."""
    bridge = getcurrent()
    return bridge.stand_ins.get(alias) if isinstance(bridge, Bridge) else None


def outermost() -> Bridge:
    """Return the outermost bridge that the caller runs on; code on a bridge may run another."""
    bridge = getcurrent()
    if not isinstance(bridge, Bridge):
        raise RuntimeError("This code needs the bridge: have turbo_orm.run_sync() call it.")
    return bridge.outermost


async def run[**P, R](function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a sync function on the bridge and return what it returns: ``turbo_orm.run_sync()``.

    For sync code that queries, and has no async form: ``full_clean()``, a form's ``is_valid()``, a
    serializer. Its queries await the task's asyncio connection, in the transaction that is open
    there. Everything else that it does blocks the event loop until it is done. Raises
    ``ImproperlyConfigured`` where turbo-orm is not installed.

    Exceptions pass through in both directions: what an await raises, cancellation included, is
    raised in the function at the place where it waits, so its ``finally`` and ``__exit__`` run.
    One that the caller is handling is being handled in the function, too (``sys.exception()``).

    In a coroutine that a thread inside ``atomic()`` has called by ``async_to_sync()``, that thread
    calls the function, on its own connection.
    """
    if not installation.is_installed:
        installation.require()
    if (thread := in_calling_thread.get()) is not None:
        called: R = await thread.run(function, *args, **kwargs)
        return called
    bridge = Bridge(_handling_as_caller(function))
    try:
        result = bridge.switch(*args, **kwargs)
        while not bridge.dead:
            try:
                awaited = await result
            except GeneratorExit as exc:
                # The coroutine is being closed: nothing can be awaited any more.
                bridge.abandoned = True
                result = bridge.throw(exc)
            except BaseException as exc:
                result = bridge.throw(exc)
            else:
                result = bridge.switch(awaited)
        returned: R = result
        return returned
    finally:
        bridge.exit()


def _handling_as_caller(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function during which the exception is handled that the caller is handling."""
    handled = sys.exception()
    return function if handled is None else partial(_handling, handled, function)


def _handling(
    handled: BaseException, function: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    traceback = handled.__traceback__
    try:
        raise handled
    except BaseException:
        # What was raised here has no part in where it comes from, nor has this frame.
        handled.__traceback__ = traceback
        del handled, traceback
        return function(*args, **kwargs)


def await_[R](awaitable: Awaitable[R]) -> R:
    """Await from sync code on the bridge, and return the result.

    The awaitable runs in the greenlet, too, up to where it yields a future, which the event loop
    awaits.

    Raises ``RuntimeError`` anywhere else, and while the bridge's own coroutine is being closed.
    """
    bridge = getcurrent()
    if not isinstance(bridge, Bridge):
        if isinstance(awaitable, Coroutine):
            awaitable.close()
        raise RuntimeError(
            "await_() can only be called by code that bridge.run() has called, which is what "
            "turbo_orm.run_sync() is."
        )
    steps = awaitable.__await__()
    try:
        waits_for = next(steps)
        while True:
            try:
                bridge.wait(_Suspended(waits_for))
            except BaseException as exc:
                waits_for = steps.throw(exc)
            else:
                waits_for = next(steps)
    except StopIteration as stop:
        result: R = stop.value
        return result


def await_in_task[R](awaitable: Awaitable[R]) -> R:
    """Await from sync code on the bridge, and return the result: outside of the greenlet.

    Async code that sync code calls is then as it is anywhere else: it is not on the bridge, and
    what the bridge has acquired is released before.
    """
    outermost().exit()
    bridge: Any = getcurrent()
    result: R = bridge.wait(awaitable)
    return result


class _Suspended:
    """Yields to the event loop what an awaitable in a greenlet has yielded."""

    def __init__(self, future: Any) -> None:
        self.future = future

    def __await__(self) -> Generator[Any, None, None]:
        yield self.future


def frames() -> Iterator[FrameType]:
    """Yield the caller's frame and those behind it, from a bridge on to what runs it."""
    frame: FrameType | None = sys._getframe(1)
    suspended: greenlet | None = getcurrent()
    while frame is not None:
        yield frame
        frame = frame.f_back
        while frame is None and suspended is not None:
            suspended = suspended.parent
            frame = suspended.gr_frame if suspended is not None else None


class WithoutCheckpoints:
    """Awaits without the checkpoints, as ``sleep(0)`` is, of an awaitable that need not wait.

    For what has to be done whole: a task that is cancelled at a checkpoint behind the last step
    gets ``CancelledError`` from an awaitable that has done all its work. Futures are awaited, and
    can be cancelled, as ever.
    """

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.awaitable = awaitable

    def __await__(self) -> Generator[Any, None, Any]:
        steps = self.awaitable.__await__()
        try:
            waits_for = next(steps)
            while True:
                if waits_for is None:
                    waits_for = next(steps)
                    continue
                try:
                    yield waits_for
                except BaseException as exc:
                    waits_for = steps.throw(exc)
                else:
                    waits_for = next(steps)
        except StopIteration as stop:
            return stop.value


class Checkpoints:
    """Has long work on the bridge yield to the event loop, for its other tasks."""

    # Seconds from one to the next. One takes about 20 µs: one percent of the work's time.
    INTERVAL = 0.002

    def __init__(self) -> None:
        self._last = perf_counter()

    def maybe_yield(self) -> None:
        """Yield to the event loop if it is due. Do nothing where there is no bridge."""
        if active() and perf_counter() - self._last >= self.INTERVAL:
            await_(asyncio.sleep(0))
            self._last = perf_counter()
