"""Async code that sync code calls by asgiref's ``async_to_sync()``: where its statements go.

Code on the bridge has an event loop: the coroutine is awaited there, on the task's connection.

A thread that is inside ``atomic()`` waits for an event loop of another thread. There, Django runs
the ``a*`` methods on the thread that waits, so they are in its transaction, and so they are here:
what would run on the bridge runs in the thread, on its sync connection. No second connection is
taken while the first one waits, and no lock of the transaction is waited for.

Outside of a transaction, the coroutine has an async connection as ever. asgiref copies the context
of what was called back to its caller: what it has had of connections stays with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from inspect import iscoroutinefunction
from types import MappingProxyType
from typing import Any

from asgiref.sync import SyncToAsync, async_to_sync
from django.db import connections
from django.db.transaction import TransactionManagementError

from turbo_orm import bridge
from turbo_orm.backend.connection_state import blocks, current_task, name_of, place
from turbo_orm.backend.task_connections import in_context
from turbo_orm.driver.completion import until_done

# The calling thread's sync connections, by alias.
_connections: ContextVar[Mapping[str, Any]] = ContextVar(
    "turbo_orm_calling_thread",
    default=MappingProxyType({}),
)


class CallingThread:
    """A thread that waits for a coroutine, and what it runs for that.

    It has one stack of savepoints, so only one task at a time may be inside ``async_atomic()``.
    """

    def __init__(self) -> None:
        self._owner: asyncio.Task[Any] | None = None
        self._depth = 0
        self._where = ""

    async def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Have the thread call a function, and return what it returns.

        A task that is cancelled meanwhile is so when the function has returned: the thread cannot
        be stopped, and what it does next must not meet what it has left half done.
        """
        self._refuse_others()
        call = asyncio.ensure_future(SyncToAsync(function)(*args, **kwargs))
        cancelled = await until_done(call)
        if cancelled is not None:
            # It is retrieved, at least.
            raise cancelled from (None if call.cancelled() else call.exception())
        return call.result()

    async def enter(self, atomic: Any) -> None:
        """Enter a block of Django's. The running task is the one that may query until its end."""
        self._refuse_others()
        if not self._depth:
            self._owner, self._where = current_task(), place()
        self._depth += 1
        is_entered = False

        def enter() -> None:
            nonlocal is_entered
            atomic.__enter__()
            is_entered = True

        try:
            await self.run(enter)
        except BaseException as exc:
            if is_entered:
                # The task was cancelled: nothing is done in the block.
                await self.leave(atomic, type(exc), exc, exc.__traceback__)
            else:
                self._leave()
            raise

    async def leave(self, atomic: Any, *exc_info: Any) -> None:
        """Leave a block that ``enter()`` has entered."""
        try:
            await self.run(atomic.__exit__, *exc_info)
        finally:
            self._leave()

    def _leave(self) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None

    def _refuse_others(self) -> None:
        owner = self._owner
        if owner is None or owner is current_task():
            return
        if owner.done():
            self._owner, self._depth = None, 0
            return
        raise TransactionManagementError(
            f"A savepoint is open in {name_of(owner)} ({self._where}), on the connection of the "
            f"thread that has called async_to_sync() inside atomic(), and "
            f"{name_of(current_task())} would be part of it. It is one connection, which does one "
            f"thing at a time: await one after the other."
        )


class InCallingThread:
    """Stands for a connection in ``in_context``: statements are executed by Django's cursor."""

    connection = None
    pipeline = None
    force_debug_cursor = True
    is_negligible = False
    owner = "the calling thread"

    def is_inside_block(self) -> bool:
        """Return ``False``: the block is the thread's."""
        return False


class LentConnection:
    """A sync connection of the calling thread, as plain code of the coroutine sees it."""

    def __init__(self, connection: Any) -> None:
        self.__dict__["_connection"] = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._connection, name, value)

    def on_commit(self, func: Callable[[], Any], robust: bool = False) -> None:
        """Call a function after the commit, in the thread. A coroutine function is awaited."""
        self._connection.on_commit(
            async_to_sync(func) if iscoroutinefunction(func) else func, robust
        )


def connection(alias: str) -> Any:
    """Return the sync connection of the thread that has called the running code, or ``None``.

    It is one that the thread waits with, in a transaction, for a coroutine.
    """
    return _connections.get().get(alias)


def calling(asgirefs: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``AsyncToSync.__call__()``, which sees to the connections of what it calls."""

    @wraps(asgirefs)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        if bridge.active():
            return bridge.await_(self.awaitable(*args, **kwargs))
        with _keeping_context(), _lending_connections():
            return asgirefs(self, *args, **kwargs)

    return __call__


@contextmanager
def _keeping_context() -> Iterator[None]:
    """Have the caller's connections and blocks be those that they were before."""
    with _value(in_context, in_context.get()), _value(blocks, blocks.get()):
        yield


@contextmanager
def _lending_connections() -> Iterator[None]:
    """Have coroutines that are called in the block use the thread's sync connections.

    Do nothing unless the thread is in a transaction.
    """
    is_lent = any(map(_is_in_transaction, connections.all(initialized_only=True)))
    if not is_lent and not _connections.get():
        yield
        return
    lent: dict[str, Any] = {}
    mine: dict[str, Any] = {}
    if is_lent:
        lent = {alias: LentConnection(connections[alias]) for alias in connections}
        mine = dict.fromkeys(lent, InCallingThread())
    with (
        _value(_connections, lent),
        _value(bridge.in_calling_thread, CallingThread() if is_lent else None),
        _value(in_context, mine),
    ):
        yield


@contextmanager
def _value[T](variable: ContextVar[T], value: T) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def _is_in_transaction(connection: Any) -> bool:
    if connection.in_atomic_block:
        # That of a test case serves async code, too.
        return any(not block._from_testcase for block in connection.atomic_blocks)
    return connection.connection is not None and not connection.autocommit
