"""Values that become lookups when a statement is bound, and not when a method is called.

They are those that a terminal is given, as in ``aggregate(n=Count("pk", filter=Q(rank=3)))``, and
those in the condition of a ``FilteredRelation``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet

from turbo_orm.query_cache.compiled import LookupBinder, Unbindable
from turbo_orm.query_cache.prepared_values import LookupFactory
from turbo_orm.query_cache.tracers import NotCacheable, Tracer


class ComparedBinder(LookupBinder):
    """Binds values by a lookup of Django's, which is made of each and compiled."""

    __slots__ = ("_factory",)

    def __init__(self, slot: int, factory: LookupFactory, value: Any, compiler: Any) -> None:
        super().__init__(slot, factory(value).lookup, compiler)
        self._factory = factory

    def params(self, value: Any) -> Sequence[Any]:
        return super().params(self._factory(value))


def compared_binder(tracer: Tracer, lookup: Any, compiler: Any) -> ComparedBinder:
    """Return what binds a value by the lookup that Django has made of it.

    Raises ``NotCacheable``.
    """
    if lookup.lookup_name == "isnull":
        # Other values are not compared with NULL.
        raise NotCacheable("a value becomes NULL")
    factory = LookupFactory(type(lookup), lookup.lhs)
    try:
        return ComparedBinder(tracer.slot, factory, tracer.value, compiler)
    except (EmptyResultSet, FullResultSet, Unbindable):
        raise NotCacheable("a value decides the SQL") from None
