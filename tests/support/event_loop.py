"""Runs coroutines on an event loop that nothing may leave: no thread, no sync connection."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asgiref.sync
import psycopg
import pytest

from tests.support.databases import NAMES

type Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


def run(function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine function on an event loop of its own, and guard it.

    Its connections are closed at the end, and have to be in a state to be.
    """

    async def main() -> Any:
        try:
            # A test that waits for what never comes is to fail, not to hang.
            async with asyncio.timeout(60):
                return await function()
        finally:
            await close_connections()

    with only_the_event_loop(), asyncio.Runner() as runner:
        return runner.run(main())


def played(function: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Make a test of an async function, which is run on a plain event loop, without guards."""

    def test() -> None:
        asyncio.run(function())

    test.__name__ = function.__name__
    test.__doc__ = function.__doc__
    return test


async def close_connections() -> None:
    from turbo_orm.backend.task_connections import async_connections

    for alias in NAMES:
        connection = async_connections[alias]
        assert connection.block is None
        await connection.close()


@contextlib.contextmanager
def only_the_event_loop() -> Iterator[None]:
    """Make it an error to start a thread, to hop to one, or to use a sync connection."""

    def forbid(what: str, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def forbidden(*args: Any, **kwargs: Any) -> Any:
            # asyncio resolves host names in its executor: that is not ours to change.
            if socket.getaddrinfo in args:
                return original(*args, **kwargs)
            raise AssertionError(f"{what} in async code")

        patch.setattr(owner, name, forbidden)

    with pytest.MonkeyPatch.context() as patch:
        forbid("a thread pool was used", ThreadPoolExecutor, "submit")
        forbid("sync_to_async() was called", asgiref.sync.SyncToAsync, "__call__")
        forbid("a sync connection was opened", psycopg, "connect")
        forbid("a sync connection was opened", psycopg.Connection, "connect")
        forbid("a sync cursor was used", psycopg.Cursor, "execute")
        forbid("a sync cursor was used", psycopg.ServerCursor, "execute")
        yield


def complaints_of_loop() -> list[dict[str, Any]]:
    """Return a list to which the running loop's exception handler adds what it is called with."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: complaints.append(context)
    )
    return complaints
