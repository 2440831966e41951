"""A test case for async code, with what Django's ``TestCase`` lacks for it.

Async code is in the transaction of each test of Django's ``TestCase``, and of pytest-django's
``db``, without anything of this module.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.test import TestCase, client

from turbo_orm import bridge
from turbo_orm.backend.shared_connection import shared_connections
from turbo_orm.handlers.asgi import EventLoopHandler

__all__ = ["AsyncClient", "AsyncTestCase", "shared_connections"]


class AsyncTestCase(TestCase):
    """Django's ``TestCase``, with async fixtures and assertions.

    Everything that Django's ``TestCase`` has works: ``setUpTestData()``, ``databases``,
    ``client``, ``async_client``, fixtures. Sync and async code see each other's writes. Coroutine
    functions named ``asyncSetUp`` and ``asyncTearDown`` run before and after an async test, in its
    event loop.

    Tasks take turns to use the test's one connection, so ``asyncio.gather()`` works, but its
    queries don't run concurrently. For concurrent queries, and for anything that is visible only
    after a commit, use Django's ``TransactionTestCase``.
    """

    def __call__(self, result: Any = None) -> Any:
        method = getattr(self, self._testMethodName)
        if iscoroutinefunction(method):
            setattr(self, self._testMethodName, self._with_async_fixtures(method))
        return super().__call__(result)

    def _with_async_fixtures(
        self, method: Callable[..., Awaitable[None]]
    ) -> Callable[..., Awaitable[None]]:
        @wraps(method)
        async def with_fixtures(*args: Any, **kwargs: Any) -> None:
            await self.asyncSetUp()
            try:
                await method(*args, **kwargs)
            finally:
                await self.asyncTearDown()

        return with_fixtures

    async def asyncSetUp(self) -> None:
        """Prepare an async test, in its event loop."""

    async def asyncTearDown(self) -> None:
        """Clean up after an async test, in its event loop, whether it has passed or not."""

    def aassertNumQueries(
        self,
        num: int,
        func: Callable[..., Awaitable[Any]] | None = None,
        *args: Any,
        using: str = DEFAULT_DB_ALIAS,
        **kwargs: Any,
    ) -> Any:
        """Assert that ``num`` statements are executed, including those of tasks started meanwhile.

        Use it with ``async with``, or await it with a coroutine function and its arguments.
        """
        block = self._assert_num_queries(num, using)
        if func is None:
            return block

        async def call() -> None:
            async with block:
                await func(*args, **kwargs)

        return call()

    @asynccontextmanager
    async def _assert_num_queries(self, num: int, using: str) -> AsyncIterator[Any]:
        with self.assertNumQueries(num, using=using) as captured:
            yield captured

    @asynccontextmanager
    async def acaptureOnCommitCallbacks(
        self, *, using: str = DEFAULT_DB_ALIAS, execute: bool = False
    ) -> AsyncIterator[list[Callable[[], Any]]]:
        """Yield the list of the functions that were registered with ``on_commit()``.

        With ``execute``, they are called at the end of the block; coroutine functions are awaited.
        """
        block = self.captureOnCommitCallbacks(using=using, execute=execute)
        callbacks = block.__enter__()
        try:
            yield callbacks
        finally:
            await bridge.run(block.__exit__, None, None, None)


class AsyncClientHandler(EventLoopHandler, client.AsyncClientHandler):
    """The handler of ``AsyncClient``: Django's, on the event loop."""


class AsyncClient(client.AsyncClient):
    """Django's ``AsyncClient``, whose requests are handled as ``turbo_orm.asgi`` handles them.

    To use it as the ``async_client`` of a test case, set ``async_client_class = AsyncClient``.
    """

    def __init__(
        self,
        enforce_csrf_checks: bool = False,
        raise_request_exception: bool = True,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(enforce_csrf_checks, raise_request_exception, *args, **kwargs)
        self.handler: Any = AsyncClientHandler(enforce_csrf_checks)
