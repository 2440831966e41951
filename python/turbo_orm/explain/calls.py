"""Calls that are sent to a thread, without what asgiref and asyncio wrap them in."""

from __future__ import annotations

import functools
from contextvars import Context
from typing import Any, NamedTuple

from asgiref.sync import SyncToAsync

from turbo_orm.explain.places import NOWHERE, Place, dotted


class Call(NamedTuple):
    """A call that is sent to a thread, and the stack of the code that sends it."""

    function: Any
    args: tuple[Any, ...]
    places: list[Place]

    @property
    def name(self) -> str:
        return dotted(self.function)

    @property
    def owner(self) -> Any:
        """What the function is a method of, or ``None``."""
        return getattr(self.function, "__self__", None)

    @property
    def method(self) -> str:
        return getattr(self.function, "__name__", "")

    @property
    def sender(self) -> Place:
        """The code that sends it, behind asgiref, asyncio and whatever else passes it on."""
        found = (place for place in self.places if place.owner != "machinery")
        return next(found, NOWHERE)

    @property
    def behalf(self) -> Place:
        """The innermost line of the project, or of a package, that the call is made for."""
        inside = []
        for place in self.places:
            if place.is_of_handler:
                break
            inside.append(place)
        for owner in ("project", "package"):
            for place in inside:
                if place.owner == owner:
                    return place
        return self.sender


def sent(
    executor: Any, function: Any, args: tuple[Any, ...], places: list[Place]
) -> tuple[Call, str]:
    """Return the call that ``run_in_executor()`` was given, and whose thread it is sent to."""
    executed_by = "default executor" if executor is None else "own executor"
    adapter = getattr(getattr(function, "func", None), "__self__", None)
    if isinstance(function, functools.partial) and isinstance(adapter, SyncToAsync):
        child: Any = function.args[-1]
        called = Call(adapter.func, getattr(child, "args", ()), places)
        return called, "thread-sensitive" if adapter._thread_sensitive else executed_by
    while isinstance(function, functools.partial):
        args = (*function.args, *args)
        # to_thread() has the context run the function.
        in_context = isinstance(getattr(function.func, "__self__", None), Context)
        function, args = (args[0], args[1:]) if in_context else (function.func, args)
    return Call(function, args, places), executed_by
