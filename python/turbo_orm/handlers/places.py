"""Where sync code of a request runs: in the event loop, on the bridge, or in a thread.

What only computes is called as it is (``INLINE``). What may query, and waits for nothing else,
runs on the bridge (``BRIDGE``). What may wait for anything goes to a thread (``THREAD``), as with
Django's handler: that is all code that neither is Django's nor listed by the project in
``TURBO_ORM["ON_EVENT_LOOP"]``.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import cache, partial
from inspect import iscoroutinefunction, unwrap
from types import FunctionType, MethodType
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from turbo_orm import conf

type View = Callable[..., Any]


class Place(Enum):
    """Where a sync function is called."""

    #: Not at all, since it would do nothing. Only said of Django's middleware.
    NOWHERE = "nowhere"
    INLINE = "inline"
    BRIDGE = "bridge"
    THREAD = "thread"


# What the decorators set on a view. functools.wraps() and as_view() carry it on.
_ATTRIBUTE = "turbo_orm_place"


def on_bridge[V: View](view: V) -> V:
    """Run a sync view on the event loop: its queries await the task's connection.

    Use it for a view that waits for nothing but the database, whatever ``TURBO_ORM["SYNC_VIEWS"]``
    is. Make it the outermost decorator, or apply it to ``dispatch()`` of a class with Django's
    ``method_decorator``. It returns the view itself. Raises ``TypeError`` for an async view. It
    has no effect under Django's own handlers, which run the view in a thread.
    """
    return _placed(view, Place.BRIDGE)


def in_thread[V: View](view: V) -> V:
    """Run a sync view in a thread, as Django's ASGI handler does.

    Use it for a view that waits for something other than the database (a file, another service),
    if ``TURBO_ORM["SYNC_VIEWS"]`` is ``"bridge"``. It returns the view itself. Raises
    ``TypeError`` for an async view.
    """
    return _placed(view, Place.THREAD)


def _placed[V: View](view: V, place: Place) -> V:
    if iscoroutinefunction(view):
        raise TypeError(
            f"{view.__qualname__} is an async view, which runs in the event loop: on_bridge() and "
            f"in_thread() are for sync views. For attributes that await in an async view there is "
            f"lazy_loading()."
        )
    return set_place(view, place)


def set_place[V: View](function: V, place: Place) -> V:
    """Have a function be called at a place, and return it."""
    setattr(function, _ATTRIBUTE, place)
    return function


def own_place(function: Any) -> Place | None:
    """Return the place that was set for a function, if one was."""
    return getattr(function, _ATTRIBUTE, None)


def place_of_view(view: View) -> Place:
    """Return where a sync view runs: by its decorator, the list or the setting."""
    if (place := own_place(view)) is not None:
        return place
    if conf.get("SYNC_VIEWS") == "bridge" or is_listed(view):
        return Place.BRIDGE
    return Place.THREAD


def is_listed(code: Any) -> bool:
    """Return whether ``TURBO_ORM["ON_EVENT_LOOP"]`` has a function, class, instance or method.

    An entry is its dotted name, or that of a module or package that it is in.
    """
    names = _listed()
    if not names:
        return False
    parts = dotted_name(code).split(".")
    return any(".".join(parts[:stop]) in names for stop in range(1, len(parts) + 1))


def dotted_name(code: Any) -> str:
    """Return module and name of what a project lists: a function, or the class of an object.

    Of a function that another one has made, as old-style middleware is, it is the maker's name.
    """
    while isinstance(code, partial):
        code = code.func
    code = getattr(code, "view_class", code)
    if isinstance(code, MethodType):
        code = code.__self__
    if isinstance(code, FunctionType):
        code = unwrap(code)
    named: Any = code if isinstance(code, type | FunctionType) else type(code)
    return f"{named.__module__}.{named.__qualname__.partition('.<locals>')[0]}"


@cache
def _listed() -> frozenset[str]:
    listed = conf.get("ON_EVENT_LOOP")
    # A path in MIDDLEWARE may be another one than that of the module that defines it.
    middleware = [path for path in settings.MIDDLEWARE if path in listed]
    return frozenset([*listed, *(dotted_name(import_string(path)) for path in middleware)])


def forget(*, setting: str, **kwargs: Any) -> None:
    """Receive ``setting_changed``: read the list anew."""
    if setting in {conf.NAME, "MIDDLEWARE"}:
        _listed.cache_clear()
