"""django-pghistory and django-pgtrigger, whose contexts belong to asyncio tasks.

``pghistory.context()`` and ``pgtrigger.ignore()`` put an execute wrapper on a connection, and what
it sends into a ``threading.local``. All tasks of an event loop have one thread: there the
attributes are kept by task. ``async with pghistory.context()`` goes to a thread, whose connection
is not the task's; here it enters in the event loop, where nothing of it waits. Within a
transaction ``with pgtrigger.ignore()`` ends with a statement, which waits in an event loop: the
next statement brings it.
"""

from __future__ import annotations

from asyncio import Task
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from functools import wraps
from importlib import import_module
from typing import Any
from weakref import ReferenceType, ref

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS

from turbo_orm import bridge
from turbo_orm.backend.base import BridgedDatabaseWrapper
from turbo_orm.backend.connection_state import current_task
from turbo_orm.backend.handler import has_async_connection
from turbo_orm.patches import required_names
from turbo_orm.patches.patch import Group, Patch, Replacement

_HISTORY = "pghistory.runtime"
_TRIGGERS = "pgtrigger.runtime"


def _patches() -> Iterator[Patch]:
    if apps.is_installed("pgtrigger"):
        yield from _locals(_TRIGGERS, ["_ignore", "_schema"])
        name, why = "_set_ignore_session_state", "pgtrigger.ignore() can end in an event loop"
        if required_names.has(_TRIGGERS, name, without=f"no longer: {why}"):
            yield Replacement(_TRIGGERS, name, why, wrap=ending_in_the_event_loop)
    if not apps.is_installed("pghistory"):
        return
    yield from _locals(_HISTORY, ["_tracker"])
    why = "async with pghistory.context() is about the task's connection, not a thread's"
    owner = f"{_HISTORY}:context"
    if required_names.has(_HISTORY, "context", without=f"no longer: {why}"):
        yield Replacement(owner, "__aenter__", why, wrap=entering_in_the_event_loop)
        yield Replacement(owner, "__aexit__", why, wrap=leaving_in_the_event_loop)


def _locals(module: str, names: list[str]) -> Iterator[Patch]:
    why = "what is ignored or recorded in a task is so in no other"
    for name in names:
        if required_names.has(module, name, without=f"no longer: {why}"):
            yield Replacement(module, name, why, wrap=TaskLocal)


class TaskLocal:
    """Attributes as those of a ``threading.local``, which each asyncio task has of its own.

    A task begins with those of the task that has started it, as it does with the execute wrappers
    of that one's connection. Sets are copied: pgtrigger adds to one, and removes from it.
    """

    def __init__(self, original: Any) -> None:
        name = type(self).__qualname__
        kept: ContextVar[tuple[ReferenceType[Task[Any]] | None, dict[str, Any]]] = ContextVar(name)
        object.__setattr__(self, "kept_by_task", kept)

    def _attributes(self) -> dict[str, Any]:
        kept = object.__getattribute__(self, "kept_by_task")
        attributes: dict[str, Any]
        owner, attributes = kept.get((None, {}))
        task = current_task()
        if (owner and owner()) is not task or not attributes:
            attributes = {name: copy(value) for name, value in attributes.items()}
            kept.set((None if task is None else ref(task), attributes))
        return attributes

    def __getattr__(self, name: str) -> Any:
        try:
            return self._attributes()[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._attributes()[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self._attributes()[name]
        except KeyError:
            raise AttributeError(name) from None


def ending_in_the_event_loop(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return pgtrigger's context manager for a connection, which need not query at its end."""
    runtime = import_module(_TRIGGERS)

    @contextmanager
    def ignoring(database: str | None = None) -> Iterator[None]:
        connection = runtime.utils.connection(database)
        if bridge.active() or not isinstance(connection, BridgedDatabaseWrapper):
            with original(database):
                yield
        elif runtime._inject_pgtrigger_ignore in connection.execute_wrappers:
            yield
        else:
            try:
                with connection.execute_wrapper(runtime._inject_pgtrigger_ignore):
                    yield
            finally:
                wrappers = connection.execute_wrappers
                if connection.in_atomic_block and _reset not in wrappers:
                    # Where another one was added, the last is taken away there.
                    wrappers.insert(0, _reset)

    return ignoring


def _reset(execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Have a statement bring the one that pgtrigger ends with. It is an execute wrapper, once."""
    runtime = import_module(_TRIGGERS)
    if runtime._can_inject_variable(context["cursor"], sql):
        context["connection"].execute_wrappers.remove(_reset)
        sql = runtime._query_to_str(sql, context["cursor"])
        sql = f"SELECT set_config('pgtrigger.ignore', NULL, false); {sql}"
    return runtime._execute_wrapper(execute(sql, params, many, context))


def _is_async() -> bool:
    """Return whether the database of contexts, the default one, has an async connection."""
    return has_async_connection(DEFAULT_DB_ALIAS)


def entering_in_the_event_loop(
    original: Callable[[Any], Awaitable[Any]],
) -> Callable[[Any], Awaitable[Any]]:
    """Return ``context.__aenter__()``, to put the execute wrapper on the task's connection."""

    @wraps(original)
    async def __aenter__(self: Any) -> Any:
        return self.__enter__() if _is_async() else await original(self)

    return __aenter__


def leaving_in_the_event_loop(
    original: Callable[..., Awaitable[Any]],
) -> Callable[..., Awaitable[Any]]:
    """Return ``context.__aexit__()``, to take the execute wrapper away from there."""

    @wraps(original)
    async def __aexit__(self: Any, *exc: Any) -> Any:
        return self.__exit__(*exc) if _is_async() else await original(self, *exc)

    return __aexit__


GROUP = Group("For django-pghistory and django-pgtrigger", _patches)
