"""Calls of ``sync_to_async()`` in Django's handler, middleware and signals.

In a request of turbo-orm's handler they call a function where it belongs (**places**). Anywhere
else they are what they were: asgiref's, or the bridge's for what leads to a database
(**bridge.sync_to_async**). ``turbo_orm.patches`` puts them in the place of Django's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from functools import wraps
from typing import Any

from asgiref.sync import AsyncToSync, SyncToAsync, ThreadSensitiveContext
from django.core.handlers import base
from django.template.response import SimpleTemplateResponse
from django.utils.log import log_response

from turbo_orm import bridge
from turbo_orm.backend.task_connections import has_open_block
from turbo_orm.driver.pool import loop_pools
from turbo_orm.handlers import error_pages, middleware, places, receivers
from turbo_orm.handlers.places import Place
from turbo_orm.handlers.stores import place_of_databases

type AsyncFunction = Callable[..., Awaitable[Any]]


class RequestContext(ThreadSensitiveContext):
    """The context of a request, by which its thread is found, if it has one."""

    async def __aenter__(self) -> Any:
        current = SyncToAsync.thread_sensitive_context
        if current.get(None) is None:
            self.token = current.set(self)
        return self

    async def __aexit__(self, *exc: object) -> None:
        # Without a thread in the process there is nothing to look for.
        in_threads: Any = SyncToAsync.context_to_thread_executor
        if in_threads.data:
            await super().__aexit__(*exc)  # type: ignore[no-untyped-call]
        elif self.token is not None:
            SyncToAsync.thread_sensitive_context.reset(self.token)
            self.token = None


class HandledRequest:
    """What a handler of turbo-orm's knows of the request that it is about to answer."""

    #: Where the view was called.
    place_of_view = Place.INLINE
    #: Whether methods of the middleware for exceptions are Django's or listed, or there are none.
    place_of_exceptions = Place.INLINE


#: The request that the running code is part of, if its handler is turbo-orm's.
handled_request: ContextVar[HandledRequest | None] = ContextVar(
    "turbo_orm_handled_request", default=None
)


def call_at(place: Place, function: Callable[..., Any], in_thread: AsyncFunction) -> AsyncFunction:
    """Return a coroutine function that calls a sync one at a place."""
    if place is Place.THREAD:
        return in_thread
    if place is Place.BRIDGE:

        async def on_bridge(*args: Any, **kwargs: Any) -> Any:
            return await bridge.run(function, *args, **kwargs)

        return on_bridge

    async def inline(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inline


def with_admission(view: Callable[..., Any]) -> AsyncFunction:
    """Return a coroutine function that calls a sync view on the bridge, when there is room.

    One in a block of a middleware's is called at once: it keeps a connection that others wait for.
    """

    async def on_bridge(*args: Any, **kwargs: Any) -> Any:
        admission = loop_pools().admission
        if admission.is_crowded() and not has_open_block():
            await admission.enter()
        return await bridge.run(view, *args, **kwargs)

    return on_bridge


def placed(method: Callable[..., Any], in_thread: AsyncFunction) -> AsyncFunction:
    """Return a coroutine function that calls a sync method of middleware where it belongs."""

    async def call(*args: Any) -> Any:
        place = middleware.place_of_method(method, args)
        if place is Place.INLINE:
            return method(*args)
        if place is Place.BRIDGE:
            return await bridge.run(method, *args)
        return await in_thread(*args)

    # Django names a middleware by it, whose process_template_response() returns nothing.
    if hasattr(method, "__self__"):
        vars(call)["__self__"] = method.__self__
    return call


def awaited(method: AsyncFunction) -> Callable[..., Any]:
    """Return a sync function, for sync middleware, that has an async one awaited."""
    from_thread = AsyncToSync(method)

    def call(*args: Any, **kwargs: Any) -> Any:
        if bridge.active():
            return bridge.await_in_task(method(*args, **kwargs))
        return from_thread(*args, **kwargs)

    return places.set_place(call, Place.BRIDGE)


# What takes the place of sync_to_async() in the modules of Django, each with its own rule.


def in_middleware(original: Any) -> Any:
    """Return ``sync_to_async()`` of the module that has ``MiddlewareMixin``."""

    @wraps(original)
    def sync_to_async(function: Any, *args: Any, **kwargs: Any) -> Any:
        if handled_request.get() is None:
            return original(function, *args, **kwargs)

        # asgiref's is made where it is called: most are not.
        return placed(function, lambda *passed: original(function, *args, **kwargs)(*passed))

    return sync_to_async


def in_base_handler(original: Any) -> Any:
    """Return ``sync_to_async()`` of the module that has ``BaseHandler``."""

    @wraps(original)
    def sync_to_async(function: Any, *args: Any, **kwargs: Any) -> Any:
        in_thread = original(function, *args, **kwargs)
        request = handled_request.get()
        if request is None:
            return in_thread
        if function is log_response:

            async def log(*passed: Any, response: Any, **named: Any) -> Any:
                place = error_pages.place_of_log(response)
                call = call_at(place, function, in_thread)
                return await call(*passed, response=response, **named)

            return log
        owner = getattr(function, "__self__", None)
        if isinstance(owner, base.BaseHandler):
            # process_exception_by_middleware()
            return call_at(request.place_of_exceptions, function, in_thread)
        if isinstance(owner, SimpleTemplateResponse) and function == owner.render:
            place = request.place_of_view
            if place is Place.INLINE:
                place = place_of_databases()
            return call_at(place, function, in_thread)
        return in_thread

    return sync_to_async


def in_exception_handler(original: Any) -> Any:
    """Return ``sync_to_async()`` of the module that makes responses for exceptions."""

    @wraps(original)
    def sync_to_async(function: Any, *args: Any, **kwargs: Any) -> Any:
        in_thread = original(function, *args, **kwargs)
        if handled_request.get() is None:
            return in_thread

        async def respond(request: Any, exc: Exception) -> Any:
            place = error_pages.place_of_error_page(request, exc)
            return await call_at(place, function, in_thread)(request, exc)

        return respond

    return sync_to_async


def in_dispatcher(original: Any) -> Any:
    """Return ``sync_to_async()`` of the module that has ``Signal``."""

    @wraps(original)
    def sync_to_async(function: Any, *args: Any, **kwargs: Any) -> Any:
        in_thread = original(function, *args, **kwargs)
        if handled_request.get() is None:
            return in_thread
        return call_at(receivers.place_of_sending(function), function, in_thread)

    return sync_to_async


_END = object()


async def on_bridge_each(iterator: Iterator[Any]) -> AsyncIterator[Any]:
    """Yield what a sync iterator yields, whose code runs on the bridge."""
    try:
        while (part := await bridge.run(next, iterator, _END)) is not _END:
            yield part
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            await bridge.run(close)
