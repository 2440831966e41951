"""Counts the queries that Django makes and compiles, and the Python functions that are called."""

import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, NamedTuple

from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler

_CODES = {Query.__init__.__code__: "made", SQLCompiler.as_sql.__code__: "compiled"}


@contextmanager
def calls(codes: Iterable[CodeType] | None, called: Callable[[CodeType], Any]) -> Iterator[None]:
    """Have a function called with the code of each function among these that is called.

    Without ``codes`` it is called for all functions, of any thread. The interpreter tells: a
    method in the place of Django's would be noticed, and called.
    """
    monitoring = sys.monitoring
    tool, event = monitoring.PROFILER_ID, monitoring.events.PY_START
    monitoring.use_tool_id(tool, "turbo_orm")
    try:
        monitoring.register_callback(tool, event, lambda code, offset: called(code))
        if codes is None:
            monitoring.set_events(tool, event)
        for code in codes or ():
            monitoring.set_local_events(tool, code, event)
        yield
    finally:
        monitoring.set_events(tool, 0)
        for code in codes or ():
            monitoring.set_local_events(tool, code, 0)
        monitoring.register_callback(tool, event, None)
        monitoring.free_tool_id(tool)


@contextmanager
def counted():
    """Count the queries that are made, and those that are compiled."""
    count = {"made": 0, "compiled": 0}

    def add(code):
        count[_CODES[code]] += 1

    with calls(_CODES, add):
        yield count


class Called(NamedTuple):
    """A Python function that was called, or a coroutine that was resumed."""

    module: str
    name: str
    file: str


@contextmanager
def python_calls() -> Iterator[list[Called]]:
    """Note what this thread calls."""
    found: list[Called] = []

    def note(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            code = frame.f_code
            found.append(Called(frame.f_globals["__name__"], code.co_qualname, code.co_filename))

    # What the collector finds is of whatever ran before, and may be closed by functions.
    was_enabled = gc.isenabled()
    gc.disable()
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)
        if was_enabled:
            gc.enable()
