"""Coroutine functions in which what queries without saying so waits for the database.

``lazy_loading`` drives the coroutine in the greenlet of a bridge, so that sync code which it
calls, down to the access of an attribute, may switch to the event loop. What the coroutine itself
awaits is handed on to the event loop, too; before that, the bridge exits: it keeps nothing
acquired while the coroutine waits for something else than its statement.

The bridge is the task's that has called the function. Tasks that the function starts have none.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial, wraps
from inspect import isasyncgenfunction, isawaitable, iscoroutinefunction, unwrap
from typing import Any

from turbo_orm.bridge.greenlets import Suspended, current, in_calling_thread, is_lazy, run

#: The name of the function that runs, or that has started the task that runs.
lazy_function: ContextVar[str | None] = ContextVar("turbo_orm_lazy_function", default=None)


def lazy_loading[F: Callable[..., Any]](function: F) -> F:
    """Decorate a coroutine function in which attributes, loops and ``len()`` may query.

    In it, ``city.country.name``, ``for city in queryset``, ``bool(queryset)``, deferred fields,
    templates and all other sync code await the task's asyncio connection, in the transaction that
    is open there; elsewhere Django raises ``SynchronousOnlyOperation``. Use it for async views and
    their methods, and for any coroutine function or async generator function.

    While the function awaits something else, it keeps no connection, except for an open
    transaction, an ``async_connection()`` or an iterator. Tasks that it starts aren't covered:
    decorate what they run. A coroutine that a thread inside ``atomic()`` has called with
    ``async_to_sync()`` isn't covered either.

    Raises ``TypeError`` for a sync function: call it with ``run_sync()``. If turbo-orm is not
    installed, the decorated function raises ``ImproperlyConfigured``.
    """
    decorated: Any
    if isasyncgenfunction(function):
        decorated = _generating(function)
    elif iscoroutinefunction(function) or _dispatches_async(function):
        decorated = _awaiting(function)
    elif getattr(function, "__module__", None) == "django.utils.decorators":
        # method_decorator() tries decorators on a function of its own, which is never called.
        return function
    else:
        name = name_of(function)
        raise TypeError(
            f"lazy_loading is for coroutine functions, and {name} is none. Call it by "
            f"`await turbo_orm.run_sync({name}, …)`: sync code may query there."
        )
    return decorated  # type: ignore[no-any-return]


def name_of(function: Any) -> str:
    """Return what errors call a function, or a view: its class, or what a wrapper is around."""
    named: Any = unwrap(getattr(function, "view_class", function))
    while isinstance(named, partial):
        named = named.func
    if not hasattr(named, "__qualname__"):
        named = type(named)
    return f"{named.__module__}.{named.__qualname__}"


def _dispatches_async(function: Any) -> bool:
    """Return whether it is ``dispatch()`` of an async view, as ``method_decorator()`` has it.

    It is a sync function, and returns the coroutine of the view's method.
    """
    while isinstance(function, partial):
        function = function.func
    view = getattr(function, "__self__", None)
    return getattr(function, "__name__", None) == "dispatch" and bool(
        getattr(view, "view_is_async", False)
    )


def _awaiting(function: Callable[..., Any]) -> Callable[..., Any]:
    name = name_of(function)

    @wraps(function)
    async def lazy(*args: Any, **kwargs: Any) -> Any:
        return await _call(name, function, *args, **kwargs)

    return lazy


def _generating(function: Callable[..., AsyncGenerator[Any, Any]]) -> Callable[..., Any]:
    """Return an async generator function each step of which is driven by itself."""
    name = name_of(function)

    @wraps(function)
    async def lazy(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator = function(*args, **kwargs)
        step: partial[Any] = partial(generator.asend, None)
        while True:
            try:
                value = await _call(name, step)
            except StopAsyncIteration:
                return
            try:
                step = partial(generator.asend, (yield value))
            except GeneratorExit:
                await _call(name, generator.aclose)
                raise
            except BaseException as exc:
                step = partial(generator.athrow, exc)

    return lazy


async def _call(name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function that returns an awaitable, and await that, both on a bridge."""
    token = lazy_function.set(name)
    try:
        if is_lazy() or in_calling_thread.get() is not None:
            return await function(*args, **kwargs)
        return await run(_drive, name, function, args, kwargs)
    finally:
        # A coroutine that is forgotten is closed in the context of what collects it.
        with suppress(ValueError):
            lazy_function.reset(token)


def _drive(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Drive an awaitable, and keep nothing acquired while it waits. Runs on a bridge."""
    bridge = current()
    assert bridge is not None
    bridge.become_lazy()
    awaitable = function(*args, **kwargs)
    if not isawaitable(awaitable):
        raise TypeError(f"{name} has returned {awaitable!r}, which cannot be awaited.")
    steps = awaitable.__await__()
    try:
        waits_for = next(steps)
        while True:
            bridge.exit()
            try:
                bridge.wait(Suspended(waits_for))
            except BaseException as exc:
                waits_for = steps.throw(exc)
            else:
                waits_for = next(steps)
    except StopIteration as stop:
        return stop.value
