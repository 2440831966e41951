"""``ATOMIC_REQUESTS`` for async views, which Django refuses: its ``atomic()`` is for sync ones.

Django wraps a view in a transaction of each database that asks for it. Async views are wrapped
here, in ``async_atomic()``; sync views are left to Django. The setting
``TURBO_ORM["LAZY_LOADING"]`` has async views be ``lazy_loading`` functions within that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from django.core.handlers import base
from django.db import connections

from turbo_orm import conf
from turbo_orm.backend.connection_state import entered_for
from turbo_orm.backend.handler import has_async_connection
from turbo_orm.backend.transaction import AsyncAtomic
from turbo_orm.bridge.lazy_loading import lazy_loading, name_of
from turbo_orm.patches.patch import Group, Patch, Replacement

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
        if is_async(view) and conf.get("LAZY_LOADING"):
            view = lazy_loading(view)
        aliases = _atomic_aliases(view)
        if not aliases or not is_async(view) or not all(map(has_async_connection, aliases)):
            return djangos(handler, view)
        name = name_of(view)
        for alias in aliases:
            view = AtomicRequest(alias, name)(view)
        return view

    return make_view_atomic


def _atomic_aliases(view: View) -> list[str]:
    exempt: set[str] = getattr(view, "_non_atomic_requests", set())
    return [
        alias
        for alias, settings_dict in connections.settings.items()
        if settings_dict["ATOMIC_REQUESTS"] and alias not in exempt
    ]


def _patches() -> Iterator[Patch]:
    yield Replacement(
        "django.core.handlers.base:BaseHandler",
        "make_view_atomic",
        "ATOMIC_REQUESTS and LAZY_LOADING apply to async views",
        wrap=wrapping_async_views,
    )


GROUP = Group("For async views", _patches)
