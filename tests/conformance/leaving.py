"""Lets coroutines run off the bridge where a test on it waits for them.

asgiref and asyncio start a thread or an event loop for a coroutine that sync code waits for. The
bridge is in an event loop already: that awaits the coroutine, in the task that runs the tests, as
plain code of it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import asgiref.sync
from django.test import TransactionTestCase
from greenlet import getcurrent

from tests.conformance import driving, reporting
from turbo_orm import bridge
from turbo_orm.bridge.sync_to_async import sync_to_async as _bridged_sync_to_async
from turbo_orm.patches import patch_django


def wait_for(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Have the event loop await a coroutine, and return what it returns."""
    returned = []

    async def awaited() -> None:
        tasks = asyncio.all_tasks()
        try:
            returned.append(await coroutine)
        finally:
            # As asyncio.run() does.
            left = asyncio.all_tasks() - tasks
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    running: Any = getcurrent()
    running.parent.switch(awaited())
    return returned[0]


class _AsyncToSync(asgiref.sync.AsyncToSync):
    """asgiref's, which on the bridge waits for the coroutine."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if bridge.active():
            return wait_for(self.awaitable(*args, **kwargs))
        return super().__call__(*args, **kwargs)


def async_to_sync(function: Any = None, *, force_new_loop: bool = False) -> Any:
    """Return a function that waits for the coroutine that another returns."""
    if function is None:
        return lambda function: _AsyncToSync(function, force_new_loop=force_new_loop)
    return _AsyncToSync(function, force_new_loop=force_new_loop)


class _SyncToAsync(asgiref.sync.SyncToAsync):
    """asgiref's, which in a test with a database calls the function on the bridge."""

    def __init__(self, function: Any, **options: Any) -> None:
        super().__init__(function, **options)
        self._bridged = _bridged_sync_to_async(function, **options)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if _has_database():
            return await self._bridged(*args, **kwargs)
        return await super().__call__(*args, **kwargs)


def sync_to_async(function: Any = None, **options: Any) -> Any:
    """Return a coroutine function that calls a sync one: on the bridge, in a test with a database.

    So sync views and middleware find what the test has written. asgiref runs them in the thread
    that waits for the test, and others test just that.
    """
    if function is None:
        return lambda function: _SyncToAsync(function, **options)
    return _SyncToAsync(function, **options)


def _has_database() -> bool:
    return isinstance(reporting.current, TransactionTestCase)


def run(coroutine: Coroutine[Any, Any, Any], **options: Any) -> Any:
    """Do as ``asyncio.run()``, or wait on the bridge."""
    return wait_for(coroutine) if bridge.active() else _run(coroutine, **options)


_async_to_sync, _sync_to_async = asgiref.sync.async_to_sync, asgiref.sync.sync_to_async
_run = asyncio.run


def have_tests_wait() -> None:
    """Replace what tests and Django wait for coroutines by, and for sync code."""
    driving.replace_everywhere("async_to_sync", _async_to_sync, async_to_sync)
    driving.replace_everywhere("sync_to_async", _sync_to_async, sync_to_async)
    asgiref.sync.async_to_sync = async_to_sync
    asgiref.sync.sync_to_async = sync_to_async
    waits = patch_django._belongs_in_a_thread
    patch_django._belongs_in_a_thread = lambda *args: not _has_database() and waits(*args)
    asyncio.run = run
