"""``Subquery`` and ``Exists`` keep the chain of a queryset: a statement with them can be cached.

Django has such an expression hold a copy of the queryset's query. Here that is made when it is
read, and from then on the expression has no chain, since the reader may change the query.
Resolving, which reads it and changes nothing, is done with a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import wraps
from typing import Any

import django
from django.db.models import QuerySet
from django.db.models.sql import Query

from turbo_orm import conf
from turbo_orm.patches.patch import Group, Patch, Replacement
from turbo_orm.query_cache.cached_chain import NestedChain
from turbo_orm.query_cache.no_cache_key import NoCacheKey
from turbo_orm.query_cache.parameters import without_warnings
from turbo_orm.query_cache.prepared_values import plain_values
from turbo_orm.query_cache.subquery import CHAIN, as_subquery

_EXPRESSIONS = "django.db.models.expressions"

#: Whether an expression has its template as an attribute. Before, it is one of its options.
HAS_TEMPLATES = django.VERSION >= (6, 0)


class LazyQuery:
    """The query of an expression with a chain: it is made when it is read, and stored."""

    def __get__(self, expression: Any, owner: type) -> Any:
        if expression is None:
            return self
        state = expression.__dict__
        chain: NestedChain | None = state.get(CHAIN)
        if chain is None:
            raise AttributeError("query")
        if chain.twin is None:
            plain = NestedChain(chain.entry, plain_values(chain.values), chain.using)
            with without_warnings():
                query = plain.queryset(Query).query
        else:
            query = chain.twin.clone()
        query = state["query"] = as_subquery(query, type(expression))
        # Another thread may have read it, too.
        state.pop(CHAIN, None)
        return query


_LAZY_QUERY = LazyQuery()


def initializing(original: Any) -> Any:
    """Return ``__init__()`` of ``Subquery`` or ``Exists``, which leaves the query for later."""

    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        queryset: Any = args[0] if len(args) == 1 else None
        # Another class may need the query.
        is_djangos = type(self).__module__.startswith("django.")
        if not is_djangos or not issubclass(type(queryset), QuerySet):
            original(self, *args, **kwargs)
            return
        try:
            chain = NestedChain.of(queryset)
        except NoCacheKey:
            original(self, *args, **kwargs)
            return
        if conf.VERIFIES:
            chain.twin = queryset._by_django_alone(queryset._cached).query
        # As Django's does.
        state = self.__dict__
        state[CHAIN] = chain
        output_field = kwargs.pop("output_field", None)
        if HAS_TEMPLATES:
            state["template"] = kwargs.pop("template", self.template)
        state["extra"] = kwargs
        if output_field is not None:
            state["output_field"] = output_field

    return __init__


def resolving(original: Any) -> Any:
    """Return the ``resolve_expression()`` of ``Subquery``, which leaves the chain as it is."""

    @wraps(original)
    def resolve_expression(self: Any, *args: Any, **kwargs: Any) -> Any:
        if CHAIN in self.__dict__:
            copied = object.__new__(type(self))
            copied.__dict__.update(self.__dict__)
            self = copied
        return original(self, *args, **kwargs)

    return resolve_expression


def getting_state(original: Any) -> Any:
    """Return the ``__getstate__()`` of ``Subquery``, whose copies and pickles have the query."""

    @wraps(original)
    def __getstate__(self: Any) -> Any:
        if CHAIN in self.__dict__:
            _ = self.query
        return original(self)

    return __getstate__


def _patches() -> Iterator[Patch]:
    why = "a statement with a subquery is cached"
    for name in ("Subquery", "Exists"):
        yield Replacement(f"{_EXPRESSIONS}:{name}", "__init__", why, wrap=initializing)
    owner = f"{_EXPRESSIONS}:Subquery"
    yield Replacement(owner, "query", why, _LAZY_QUERY, is_stored=True)
    yield Replacement(owner, "resolve_expression", why, wrap=resolving)
    yield Replacement(owner, "__getstate__", why, wrap=getting_state)


GROUP = Group("For subqueries in the query cache", _patches)
