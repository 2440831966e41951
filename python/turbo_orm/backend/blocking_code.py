"""What plain code of an event loop was doing when it reached the database, and what to do instead.

Such code cannot wait, so ``SynchronousOnlyOperation`` is raised where Django asks for a cursor:
far below the attribute that was not loaded, or the queryset that was iterated over. When that
happens, and only then, the frames of the call are read. **lazy_access** recognises in them what
queries without saying so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_ITERABLE_COROUTINE, iscoroutinefunction
from itertools import takewhile
from pathlib import Path
from types import FrameType
from typing import Any

from django.db.models import QuerySet
from django.db.transaction import Atomic

from turbo_orm.backend import lazy_access
from turbo_orm.bridge.lazy_loading import lazy_function
from turbo_orm.bridge.user_code import FROZEN, is_library, qualified_name

_ASYNC = CO_COROUTINE | CO_ASYNC_GENERATOR | CO_ITERABLE_COROUTINE
# What a manager has in the place of each method of its queryset.
_MANAGER_METHOD = (
    "BaseManager._get_queryset_methods.<locals>.create_method.<locals>.manager_method"
)
# Lazy objects and cached properties.
_PROXIES = str(Path("django", "utils", "functional.py"))
# Whose functions are those of a connection, which is of no model.
_CONNECTIONS = ("django.db.backends.", "django.db.transaction.", "turbo_orm.backend.")


def refusal(method: str, alias: str) -> str:
    """Return the message for a method of a connection that plain code has called."""
    calls = list(_calls())
    # From the outermost call of a library's function inwards.
    inside = list(takewhile(is_library, calls))[::-1]
    entry = next((frame for frame in inside if _has_meaning(frame)), None)
    form = None if entry is None else _async_form(entry)
    if entry is None or (form is None and qualified_name(entry).startswith(_CONNECTIONS)):
        return (
            f"{method}() of connections[{alias!r}] waits for the database, which plain code in an "
            f"event loop cannot. Use turbo-orm's async methods, async_atomic() or "
            f"`async_connections[{alias!r}]`, or have turbo_orm.run_sync() call the code."
            f"{_of_lazy_task(lazy_function.get())}"
        )
    access = None
    # What get() or save() do inside does not matter.
    if form is None or not qualified_name(entry).startswith("django.db."):
        access = next(filter(None, map(lazy_access.recognise, inside)), None)
    template = next(filter(None, map(lazy_access.template, calls)), None)
    touched = access.what if access is not None else None
    call = "function"
    if template is not None:
        call = "render"
        touched = f"{touched or 'There is a query'} while the template {template} is rendered"
    elif access is None or lazy_access.recognise(entry) is None:
        call = _callee(entry)
        touched = f"{touched} where {_label(entry)}" if touched else _label(entry)
    cures = [access and access.cure, form, f"`await turbo_orm.run_sync({call}, …)`"]
    starter = lazy_function.get()
    if starter is None and access is not None and (coroutine := _coroutine(calls)) is not None:
        cures.append(f"decorate {coroutine.f_code.co_name}() with `@turbo_orm.lazy_loading`")
    return (
        f"{touched}, and plain code in an event loop cannot wait for the database {alias!r}. "
        f"Use {' or '.join(filter(None, cures))}.{_of_lazy_task(starter)}"
    )


def _of_lazy_task(starter: str | None) -> str:
    """Return what to add where a ``lazy_loading`` function has started the task that runs."""
    if starter is None:
        return ""
    return (
        f" This was started by {starter}(), a lazy_loading function, in a task of its own, which "
        "that does not cover: decorate what the task runs with `@turbo_orm.lazy_loading`, too."
    )


def _calls() -> Iterator[FrameType]:
    """Yield the frames from the connection's method up to the coroutine or the event loop."""
    frame: FrameType | None = sys._getframe(3)
    while frame is not None and not frame.f_code.co_flags & _ASYNC:
        if qualified_name(frame) == "asyncio.events.Handle._run":
            return
        yield frame
        frame = frame.f_back


def _coroutine(calls: list[FrameType]) -> FrameType | None:
    """Return the frame of the coroutine that has made the calls, if it is no library's."""
    frame = calls[-1].f_back if calls else None
    is_found = frame is not None and frame.f_code.co_flags & _ASYNC and not is_library(frame)
    return frame if is_found else None


def _has_meaning(frame: FrameType) -> bool:
    """Return whether a library's function is more than one through which another is called."""
    file, name = frame.f_code.co_filename, frame.f_code.co_qualname
    is_proxy = name == _MANAGER_METHOD or file.endswith(_PROXIES)
    return not is_proxy and not file.startswith(FROZEN)


def _async_form(frame: FrameType) -> str | None:
    """Return what to await instead of a function that has an async form: ``get()``, ``save()``."""
    name = frame.f_code.co_name
    owner = frame.f_locals.get("self")
    # A lazy object would say that it is what it has yet to load.
    kind = type(owner)
    if issubclass(kind, Atomic):
        return "`async with async_atomic():`"
    if owner is None:
        form, awaited = frame.f_globals.get(f"a{name}"), f"a{name}"
    else:
        form, awaited = getattr(kind, f"a{name}", None), f"….a{name}"
    if not iscoroutinefunction(form):
        return None
    return f"`await {awaited}(…)`"


def _label(frame: FrameType) -> str:
    """Return what an error calls a function that queries."""
    owner: Any = frame.f_locals.get("self")
    of = f" of {owner.model.__name__}" if issubclass(type(owner), QuerySet) else ""
    return f"{_callee(frame)}(){of} queries"


def _callee(frame: FrameType) -> str:
    name = frame.f_code.co_name
    owner = frame.f_locals.get("self")
    return name if owner is None else f"{type(owner).__name__}.{name}"
