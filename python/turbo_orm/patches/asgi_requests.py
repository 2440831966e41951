"""Requests, which inherit no connection from the server that starts them.

A server starts the task of a request in whatever context it is in: that of its own first task,
which may have imported the application and run a lifespan, or that of the connection's request
before, whose transaction may still be open (https://github.com/python/cpython/issues/140947).
Neither is the request's parent.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from functools import wraps
from typing import Any

from turbo_orm.backend.task_connections import async_connections
from turbo_orm.bridge import sync_to_async
from turbo_orm.handlers import calls, middleware, places
from turbo_orm.patches.patch import Group, Patch, Receiver, Replacement

type Handle = Callable[..., Awaitable[None]]


def starting_afresh(handle: Handle) -> Handle:
    """Return a handler's ``handle()`` whose task has the connections of no other task."""

    @wraps(handle)
    async def start_afresh(handler: Any, scope: Any, receive: Any, send: Any) -> None:
        async_connections.forget_inherited()
        await handle(handler, scope, receive, send)

    return start_afresh


def compiled(lazy: Any) -> re.Pattern[str]:
    """Return the expression that a lazy one of Django's compiles at its first use."""
    return re.compile(lazy.pattern, lazy.flags)


_IN_MIDDLEWARE = calls.in_middleware(sync_to_async.sync_to_async)


def _patches() -> Iterator[Patch]:
    yield Replacement(
        "django.core.handlers.asgi:ASGIHandler",
        "handle",
        "a request inherits no connection of the server's tasks, or of another request",
        wrap=starting_afresh,
    )
    yield Replacement(
        "django.core.handlers.asgi",
        "ThreadSensitiveContext",
        "the context of a request that has no thread is left at once",
        calls.RequestContext,
    )
    yield Replacement(
        "django.http.request",
        "host_validation_re",
        "the host of each request is matched by the expression itself",
        wrap=compiled,
    )
    why = "requests of turbo_orm.asgi call sync code where it belongs"
    for module, wrap in {
        "django.core.handlers.base": calls.in_base_handler,
        "django.core.handlers.exception": calls.in_exception_handler,
        "django.dispatch.dispatcher": calls.in_dispatcher,
    }.items():
        yield Replacement(module, "sync_to_async", why, wrap=wrap)
    yield Replacement(
        "django.utils.deprecation",
        "sync_to_async",
        why,
        # PATCH_DJANGO has that of sessions in a database run on the bridge, also elsewhere.
        _IN_MIDDLEWARE,
    )
    for forget in (middleware.forget, places.forget):
        yield Receiver(
            "django.core.signals:setting_changed", forget, "ON_EVENT_LOOP can be overridden"
        )


GROUP = Group("For requests", _patches)
