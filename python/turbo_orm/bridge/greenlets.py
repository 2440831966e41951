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
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from threading import local
from types import FrameType
from typing import Any

from greenlet import getcurrent, greenlet

from turbo_orm.bridge import installation
from turbo_orm.bridge.watchdog import watchdog

#: What runs, in a thread that waits for the running coroutine, all that is given to the bridge.
in_calling_thread: ContextVar[Any] = ContextVar("turbo_orm_in_calling_thread", default=None)


#: What a bridge switches to its caller with when its function has returned or raised.
_DONE: Any = object()
# So many bridges are kept by a thread for their next function.
_MOST_IDLE = 64


class Bridge(greenlet):
    """A greenlet in which sync code may await. It shares its task's context variables.

    It belongs to the task that switches to it, and is active in no other: an eager task begins in
    the greenlet of the code that starts it.

    It calls one function after another: the stack of a new greenlet costs ten times as much as a
    switch. ``begin()`` is called before the first switch, with a function and its arguments, and
    ``end()`` when a switch has returned ``_DONE``.
    """

    #: Whether it drives a coroutine, and exits wherever that one waits (**lazy_loading**).
    is_lazy: bool
    #: What ``django.db.connections`` answers with in place of connections, by alias.
    stand_ins: dict[str, Any]
    #: Whether the code that runs may call what Django forbids where an event loop runs.
    may_wait: bool

    def __init__(self) -> None:
        super().__init__(_serve)
        # A greenlet keeps the arguments of its first switch: a call is not passed by these.
        self.call: tuple[Callable[..., Any], Any, Any] | None = None
        # Of the function that was called last.
        self.returned: Any = None
        self.raised: BaseException | None = None

    def begin(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        """Belong to the caller from now on, for one call."""
        self.call = function, args, kwargs
        caller = getcurrent()
        self.parent = caller
        self.gr_context = caller.gr_context
        self.task = current_task()
        self.abandoned = self.is_lazy = self.may_wait = False
        # None where it is the outermost itself: a reference to itself would leave it to the
        # garbage collector.
        self._outer: Bridge | None = None
        if isinstance(caller, Bridge) and not caller.is_lazy and caller.task is self.task:
            self._outer = caller.outermost
        self._exits: list[Callable[[], None]] = []
        self.stand_ins = {}

    def end(self) -> Any:
        """Return what the function has returned, or raise what it has raised."""
        result, error = self.returned, self.raised
        self.returned = self.raised = self._outer = self.task = self.gr_context = None
        if len(_idle.bridges) < _MOST_IDLE:
            _idle.bridges.append(self)
        if error is not None:
            context = error.__context__
            try:
                raise error
            finally:
                # What the caller is handling takes the place of what the function was handling.
                error.__context__ = context
                del error
        return result

    @property
    def outermost(self) -> Bridge:
        """The bridge that this one runs on, or that one on, and so forth: itself, if on none.

        One on a lazy bridge is an outermost one, too: a lazy one exits while others wait.
        """
        return self._outer or self

    def become_lazy(self) -> None:
        """Be an outermost bridge, which may exit again and again."""
        self.is_lazy = True
        self._outer = None

    def at_exit(self, function: Callable[[], None]) -> None:
        """Call a function when the code on the bridge has returned or raised."""
        self._exits.append(function)

    def exit(self) -> None:
        """Call what ``at_exit()`` was given, once."""
        if self._exits:
            exits, self._exits = self._exits, []
            for function in exits:
                function()

    def resume(self) -> None:
        """Have the running code be what is switched to: an eager task began in another greenlet.

        To be called before each switch but the first.
        """
        self.parent = getcurrent()
        self.task = current_task()

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Switch to the task, which awaits, and return the result. What that raises is raised."""
        if self.abandoned:
            raise RuntimeError(
                "The coroutine that runs this code was closed while it waited for the database."
            )
        assert self.parent is not None
        return self.parent.switch(awaitable)


def _serve() -> None:
    """Call one function after another. Runs in a bridge.

    This frame is kept: it refers to nothing of a call, nor to the bridge. So a bridge that is
    dropped, as all are when their thread ends, is freed.
    """
    bridge: Any
    while True:
        bridge = getcurrent()
        function, args, kwargs = bridge.call
        bridge.call = bridge = returned = raised = None
        try:
            returned = function(*args, **kwargs)
        except BaseException as exc:
            raised = exc.with_traceback(exc.__traceback__ and exc.__traceback__.tb_next)
        bridge = getcurrent()
        bridge.returned, bridge.raised = returned, raised
        del function, args, kwargs, returned, raised, bridge
        getcurrent().parent.switch(_DONE)  # type: ignore[union-attr]


class _Idle(local):
    """The bridges of a thread that have no function to call."""

    def __init__(self) -> None:
        self.bridges: list[Bridge] = []


_idle = _Idle()


def _new_bridge(function: Callable[..., Any], args: Any, kwargs: Any) -> Bridge:
    bridges = _idle.bridges
    bridge = bridges.pop() if bridges else Bridge()
    bridge.begin(function, args, kwargs)
    return bridge


def current_task() -> asyncio.Task[Any] | None:
    """Return the running task, or ``None`` if no task runs the code."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def current() -> Bridge | None:
    """Return the bridge that the caller runs on, if it is the running task's."""
    found = getcurrent()
    return found if isinstance(found, Bridge) and found.task is current_task() else None


def active() -> bool:
    """Return whether the caller runs on the bridge, so that ``await_()`` can be called."""
    found = getcurrent()
    return isinstance(found, Bridge) and found.task is current_task()


def is_lazy() -> bool:
    """Return whether the caller is called by a coroutine that a bridge drives, on that bridge."""
    bridge = current()
    return bridge is not None and bridge.is_lazy


def allowed_to_wait[**P, R](function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function, on the bridge, that calls what is ``async_unsafe`` to Django.

    It is safe if all that it waits for is awaited.
    """
    bridge: Any = getcurrent()
    before, bridge.may_wait = bridge.may_wait, True
    try:
        return function(*args, **kwargs)
    finally:
        bridge.may_wait = before


def may_wait() -> bool:
    """Return whether ``allowed_to_wait()`` has called the code that runs."""
    bridge = current()
    return bridge is not None and bridge.may_wait


def with_stand_in[**P, R](
    alias: str, connection: Any, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
) -> R:
    """Call a function to which ``connections[alias]`` is another connection. It must not await.

    Raises ``ImproperlyConfigured`` where turbo-orm is not installed: the function would use
    Django's own connection.
    """
    if not installation.is_installed:
        installation.require()
    bridge = _new_bridge(function, args, kwargs)
    bridge.stand_ins[alias] = connection
    if bridge.switch() is not _DONE:
        if bridge.throw() is _DONE:
            # What it has raised refers to the bridge.
            with suppress(BaseException):
                bridge.end()
        raise RuntimeError(
            f"{function!r} awaits the database, where another connection stands in for "
            f"connections[{alias!r}]: nothing can be awaited there."
        )
    result: R = bridge.end()
    return result


def stand_in(alias: str) -> Any:
    """Return what stands in for a connection in the code that runs, or ``None``."""
    bridge = current()
    return bridge.stand_ins.get(alias) if bridge is not None else None


def outermost() -> Bridge:
    """Return the outermost bridge that the caller runs on; code on a bridge may run another."""
    bridge = current()
    if bridge is None:
        raise RuntimeError("This code needs the bridge: have turbo_orm.run_sync() call it.")
    return bridge.outermost


async def run[**P, R](function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a sync function on the bridge and return what it returns: ``turbo_orm.run_sync()``.

    Use it for sync code that queries, and has no async version: ``full_clean()``, a form's
    ``is_valid()``, a serializer. Its queries await the task's asyncio connection, in the
    transaction that is open there. Anything else that it does blocks the event loop. Raises
    ``ImproperlyConfigured`` if turbo-orm is not installed.

    Exceptions pass through in both directions: what an await raises, including cancellation, is
    raised in the function at the place where it waits, so its ``finally`` and ``__exit__`` run. An
    exception that the caller is handling is visible in the function, too (``sys.exception()``).

    In a coroutine that a thread inside ``atomic()`` has called with ``async_to_sync()``, that
    thread calls the function, on its own connection.
    """
    if not installation.is_installed:
        installation.require()
    if (thread := in_calling_thread.get()) is not None:
        called: R = await thread.run(function, *args, **kwargs)
        return called
    bridge = _new_bridge(_handling_as_caller(function), args, kwargs)
    runner = bridge if watchdog.is_off else watchdog.watched(bridge)
    try:
        result = runner.switch()
        while result is not _DONE:
            try:
                awaited = await result
            except GeneratorExit as exc:
                # The coroutine is being closed: nothing can be awaited any more.
                bridge.abandoned = True
                bridge.resume()
                result = runner.throw(exc)
            except BaseException as exc:
                bridge.resume()
                result = runner.throw(exc)
            else:
                bridge.resume()
                result = runner.switch(awaited)
    finally:
        bridge.exit()
    returned: R = bridge.end()
    return returned


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

    Raises ``RuntimeError`` anywhere else, while the bridge's own coroutine is being closed, and
    where another connection stands in.
    """
    bridge = current()
    if bridge is None:
        if isinstance(awaitable, Coroutine):
            awaitable.close()
        raise RuntimeError(
            "await_() can only be called by code that bridge.run() has called, which is what "
            "turbo_orm.run_sync() is."
        )
    if bridge.stand_ins:
        # Before it has begun: a statement would be on its way.
        if isinstance(awaitable, Coroutine):
            awaitable.close()
        raise RuntimeError(
            f"{awaitable!r} is awaited where another connection stands in for that of "
            f"{', '.join(bridge.stand_ins)}: nothing can be awaited there."
        )
    steps = awaitable.__await__()
    try:
        waits_for = next(steps)
        while True:
            try:
                bridge.wait(Suspended(waits_for))
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
    bridge: Any = current()
    result: R = bridge.wait(awaitable)
    return result


class Suspended:
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
