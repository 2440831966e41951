"""Counts the queries that Django makes and compiles."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler

_CODES = {Query.__init__.__code__: "made", SQLCompiler.as_sql.__code__: "compiled"}


@contextmanager
def calls(codes: Iterable[CodeType], called: Callable[[CodeType], Any]) -> Iterator[None]:
    """Have a function called with the code of each function among these that is called.

    The interpreter tells: a method in the place of Django's would be noticed, and called.
    """
    monitoring = sys.monitoring
    tool, event = monitoring.PROFILER_ID, monitoring.events.PY_START
    monitoring.use_tool_id(tool, "turbo_orm")
    try:
        monitoring.register_callback(tool, event, lambda code, offset: called(code))
        for code in codes:
            monitoring.set_local_events(tool, code, event)
        yield
    finally:
        for code in codes:
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
