"""``ATOMIC_REQUESTS`` for async views, which Django refuses: its ``atomic()`` is for sync ones.

Django wraps a view in a transaction of each database that asks for it. Async views are wrapped
here, in ``async_atomic()``; sync views are left to Django. The setting
``TURBO_ORM["LAZY_LOADING"]`` has async views be ``lazy_loading`` functions within that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, wraps
from inspect import CO_COROUTINE
from types import FunctionType
from typing import Any

from django.core.handlers import base
from django.db import connections

from turbo_orm import conf
from turbo_orm.backend.connection_state import entered_for
from turbo_orm.backend.handler import has_async_connection
from turbo_orm.backend.transaction import AsyncAtomic
from turbo_orm.bridge.lazy_loading import lazy_loading, name_of
from turbo_orm.patches.patch import Group, Patch, Receiver, Replacement

type View = Callable[..., Any]


class AtomicRequest(AsyncAtomic):
    """The transaction of a view, which errors name: no line of the site's own begins it."""

    def __init__(self, using: str, view: str) -> None:
        super().__init__(using, savepoint=True, durable=False)
        self._view = view

    async def __aenter__(self) -> None:
        entered = entered_for.set(
            f"the view {self._view}, by ATOMIC_REQUESTS, from which "
            "transaction.non_atomic_requests exempts it"
        )
        try:
            await super().__aenter__()
        finally:
            entered_for.reset(entered)


def wrapping_async_views(djangos: Callable[[Any, View], View]) -> Callable[[Any, View], View]:
    """Return Django's method that wraps a view, to wrap async views, too."""

    @wraps(djangos)
    def make_view_atomic(handler: Any, view: View) -> View:
        """Return a view wrapped in its transactions, that of the last alias outermost.

        An async one is a ``lazy_loading`` function, too, if the settings say so.

        As Django does, raises ``RuntimeError`` for an async view and a database without an async
        connection.
        """
        # The function by which Django tells async views: asgiref's before 6.0.
        is_async: Callable[[View], bool] = base.iscoroutinefunction  # type: ignore[attr-defined]
        if _loads_lazily() and is_async(view):
            view = lazy_loading(view)
        aliases = _atomic_aliases(view)
        if not aliases:
            return view
        if not is_async(view) or not all(map(has_async_connection, aliases)):
            return djangos(handler, view)
        name = name_of(view)
        for alias in aliases:
            view = AtomicRequest(alias, name)(view)
        return view

    return make_view_atomic


@cache
def _loads_lazily() -> bool:
    return bool(conf.get("LAZY_LOADING"))


def _forget(*, setting: str, **kwargs: Any) -> None:
    """Receive ``setting_changed``."""
    if setting == conf.NAME:
        _loads_lazily.cache_clear()


def _atomic_aliases(view: View) -> list[str]:
    exempt: set[str] = getattr(view, "_non_atomic_requests", set())
    return [
        alias
        for alias, settings_dict in connections.settings.items()
        if settings_dict["ATOMIC_REQUESTS"] and alias not in exempt
    ]


def telling_by_code(iscoroutinefunction: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return ``iscoroutinefunction()``, to look at the code of a function first."""

    @wraps(iscoroutinefunction)
    def tell_by_code(function: Any) -> bool:
        if type(function) is FunctionType and function.__code__.co_flags & CO_COROUTINE:
            return True
        return iscoroutinefunction(function)

    return tell_by_code


def _patches() -> Iterator[Patch]:
    yield Replacement(
        "django.core.handlers.base:BaseHandler",
        "make_view_atomic",
        "ATOMIC_REQUESTS and LAZY_LOADING apply to async views",
        wrap=wrapping_async_views,
    )
    yield Replacement(
        "django.core.handlers.base",
        "iscoroutinefunction",
        "an async view is told from a sync one by its code, at once",
        wrap=telling_by_code,
    )
    yield Receiver(
        "django.core.signals:setting_changed", _forget, "LAZY_LOADING can be overridden"
    )


GROUP = Group("For async views", _patches)
