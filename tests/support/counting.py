"""Counts the queries that Django makes and compiles."""

from contextlib import contextmanager

import pytest
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler


@contextmanager
def counted():
    """Count the queries that are made, and those that are compiled."""
    count = {"made": 0, "compiled": 0}
    init, as_sql = Query.__init__, SQLCompiler.as_sql

    def counting_init(self, *args, **kwargs):
        count["made"] += 1
        init(self, *args, **kwargs)

    def counting_as_sql(self, *args, **kwargs):
        count["compiled"] += 1
        return as_sql(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Query, "__init__", counting_init)
        patch.setattr(SQLCompiler, "as_sql", counting_as_sql)
        yield count
