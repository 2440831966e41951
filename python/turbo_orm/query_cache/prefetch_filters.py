"""The step of a chain to what is prefetched: the objects related to those with these keys.

Django's descriptors and related managers filter the queryset of a prefetch themselves, by a list
of instances. Here the list is one of keys, a value like any other, so one statement serves all.
The SQL is that of Django's ``get_prefetch_querysets()``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Model, Q, QuerySet
from django.db.models.expressions import ColPairs
from django.db.models.fields.tuple_lookups import TupleIn

from turbo_orm.query_cache.tracers import Tracer, trace_lookup

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    _ModelT = TypeVar("_ModelT", bound=Model, covariant=True)
    _Row = TypeVar("_Row", covariant=True, default=_ModelT)
else:
    # Nothing looks at them: Django's classes ignore what is in their brackets.
    _ModelT = _Row = Any

# How objects are related, which decides the SQL.
FORWARD = "forward"
REVERSE_ONE = "reverse, one"
REVERSE_MANY = "reverse, many"
MANY_TO_MANY = "many to many"


class PrefetchQuerySet(QuerySet[_ModelT, _Row]):
    """A queryset of Django's that can be filtered as the one of a prefetch is."""

    def _filter_prefetch(self, kind: str, *select: str, **keys: Any) -> Any:
        """Return the objects related to those with these keys: one lookup of a list.

        ``select`` are the name and the SQL of a column that is selected in addition.
        """
        # What Django calls here are its own methods.
        queryset: Any = QuerySet._chain(self)  # type: ignore[attr-defined]
        query = queryset._query
        if kind == FORWARD:
            ((name, listed),) = keys.items()
            _add_rows(query, name.removesuffix("__in"), listed)
        else:
            query.add_q(Q(**keys), reuse_all=kind != REVERSE_ONE)
        if kind in (FORWARD, REVERSE_ONE):
            # There is one object for each, at most.
            query.clear_ordering()
        if select:
            name, sql = select
            query.add_extra({name: sql}, None, None, None, None, None)
        return queryset


def _add_rows(query: Any, name: str, listed: Any) -> None:
    """Filter by the keys in a field of the model's, as rows of one column."""
    keys = listed.value if type(listed) is Tracer else listed
    target = query.resolve_ref(name).target
    columns = ColPairs(query.model._meta.db_table, [target], [target], target)
    lookup = TupleIn(columns, [*zip(keys, strict=True)])
    if type(listed) is Tracer:
        trace_lookup(lookup, listed)
    query.add_q(Q(lookup))


#: By the name that a step has.
STEPS = {"_filter_prefetch": vars(PrefetchQuerySet)["_filter_prefetch"]}
