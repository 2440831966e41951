"""Django's query of a queryset that holds a chain: it is made of the chain when it is read."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models.sql import Query

from turbo_orm.backend.handler import process_connection
from turbo_orm.query_cache.chain import replay
from turbo_orm.query_cache.parameters import without_warnings


class LazyQuery:
    """The query of a queryset with a chain: it is built when it is read, and stored."""

    def __get__(self, queryset: Any, owner: type) -> Any:
        if queryset is None:
            return self
        chain = queryset._cached
        if chain is None:
            raise AttributeError("_query")
        query = Query(queryset.model)
        if chain[0].step is not None:
            # What Django warns of, it has when the methods were called: of values alone.
            with without_warnings() if chain[1] else nullcontext():
                query = replay(chain, queryset._over(query))._query
        if queryset._compiled_for is not None:
            # Compiling adds its joins to a query, and they are expected there.
            connection = process_connection(queryset._compiled_for)
            with suppress(EmptyResultSet):
                query.get_compiler(connection=connection).as_sql()
        queryset.__dict__["_query"] = query
        return query
