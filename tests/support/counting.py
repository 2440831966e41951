"""Counts the queries that Django makes and compiles."""

import sys
from contextlib import contextmanager

from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler

_CODES = {Query.__init__.__code__: "made", SQLCompiler.as_sql.__code__: "compiled"}


@contextmanager
def counted():
    """Count the queries that are made, and those that are compiled.

    The interpreter counts: methods in the place of Django's would be noticed, and called.
    """
    count = {"made": 0, "compiled": 0}
    monitoring = sys.monitoring
    tool, event = monitoring.PROFILER_ID, monitoring.events.PY_START

    def count_call(code, offset):
        count[_CODES[code]] += 1

    monitoring.use_tool_id(tool, "turbo_orm tests")
    try:
        monitoring.register_callback(tool, event, count_call)
        for code in _CODES:
            monitoring.set_local_events(tool, code, event)
        yield count
    finally:
        for code in _CODES:
            monitoring.set_local_events(tool, code, 0)
        monitoring.register_callback(tool, event, None)
        monitoring.free_tool_id(tool)
