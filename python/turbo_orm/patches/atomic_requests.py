"""``ATOMIC_REQUESTS`` for async views, which Django refuses: its ``atomic()`` is for sync ones.

Django wraps a view in a transaction of each database that asks for it. Async views are wrapped
here, in ``async_atomic()``; sync views are left to Django.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.handlers import base
from django.db import connections

from turbo_orm.backend.handler import has_async_engine
from turbo_orm.backend.transaction import async_atomic

type View = Callable[..., Any]

_handler: Any = base.BaseHandler
_djangos_make_view_atomic = _handler.make_view_atomic


@wraps(_djangos_make_view_atomic)
def make_view_atomic(handler: Any, view: View) -> View:
    """Return a view wrapped in the transactions that it is to run in, the last alias outermost.

    As Django does, raises ``RuntimeError`` for an async view and a database without an async
    connection.
    """
    # The function that Django goes by: asgiref's before 6.0.
    is_async: Callable[[View], bool] = base.iscoroutinefunction  # type: ignore[attr-defined]
    aliases = _atomic_aliases(view)
    if not is_async(view) or not all(map(_has_async_connection, aliases)):
        refused_or_sync: View = _djangos_make_view_atomic(handler, view)
        return refused_or_sync
    for alias in aliases:
        view = async_atomic(alias)(view)
    return view


def _atomic_aliases(view: View) -> list[str]:
    exempt: set[str] = getattr(view, "_non_atomic_requests", set())
    return [
        alias
        for alias, settings_dict in connections.settings.items()
        if settings_dict["ATOMIC_REQUESTS"] and alias not in exempt
    ]


def _has_async_connection(alias: str) -> bool:
    return has_async_engine(connections.settings[alias])


def use_bridge() -> None:
    """Have Django's request handlers wrap async views, too."""
    _handler.make_view_atomic = make_view_atomic
