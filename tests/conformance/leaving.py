"""Lets coroutines run off the bridge where a test on it waits for them.

asgiref and asyncio start a thread or an event loop for a coroutine that sync code waits for. The
bridge is in an event loop already: that awaits the coroutine, in the task that runs the tests, as
plain code of it.
"""

import asyncio
from collections.abc import Coroutine
from functools import wraps
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


def async_to_sync(function: Any = None, *, force_new_loop: bool = False) -> Any:
    """Return a function that waits for the coroutine that another returns."""
    if function is None:
        return lambda function: async_to_sync(function)

    @wraps(function)
    def waiting(*args: Any, **kwargs: Any) -> Any:
        if bridge.active():
            return wait_for(function(*args, **kwargs))
        return _async_to_sync(function)(*args, **kwargs)

    return waiting


def sync_to_async(function: Any = None, **options: Any) -> Any:
    """Return a coroutine function that calls a sync one: on the bridge, in a test with a database.

    So sync views and middleware find what the test has written. asgiref runs them in the thread
    that waits for the test, and others test just that.
    """
    if function is None:
        return lambda function: sync_to_async(function, **options)
    bridged, in_thread = (
        _bridged_sync_to_async(function, **options),
        _sync_to_async(function, **options),
    )

    @wraps(function)
    async def called(*args: Any, **kwargs: Any) -> Any:
        return await (bridged if _has_database() else in_thread)(*args, **kwargs)

    return called


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
