"""Django's queries and compilers, of which turbo-orm makes none where a statement is cached."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler

_FUNCTIONS: tuple[Any, ...] = (Query.__init__, Query.clone, SQLCompiler.__init__)


@contextmanager
def nothing_is_made() -> Iterator[None]:
    """Assert that neither a query nor a compiler is made, nor a query copied.

    The interpreter tells: a method in the place of Django's would be noticed, and called.
    """
    made: list[str] = []
    codes = [function.__code__ for function in _FUNCTIONS]
    monitoring = sys.monitoring
    tool, event = monitoring.PROFILER_ID, monitoring.events.PY_START

    def record(code: Any, offset: int) -> None:
        made.append(code.co_qualname)

    monitoring.use_tool_id(tool, "turbo_orm benches")
    try:
        monitoring.register_callback(tool, event, record)
        for code in codes:
            monitoring.set_local_events(tool, code, event)
        yield
    finally:
        for code in codes:
            monitoring.set_local_events(tool, code, 0)
        monitoring.register_callback(tool, event, None)
        monitoring.free_tool_id(tool)
    assert not made, made
