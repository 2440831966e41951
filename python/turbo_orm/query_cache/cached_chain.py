"""A chain of methods as a value: its cache entry, and the values that were given on the way to it.

A queryset that holds a ``CachedChain`` needs no query of Django's: the chain stands for it. Other
chains may be part of it, as ``NestedChain``: ``Author.objects.filter(pk__in=books)`` has the entry
of the chain of ``books`` in its key, and the values of that chain among its values. So has an
expression that was made of a queryset (**subquery**). Django compiles a subquery of what the
queryset's query is, so nothing else of the queryset matters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from django.db.models import QuerySet
from django.db.models.sql import Query

from turbo_orm.query_cache.no_cache_key import NoCacheKey
from turbo_orm.query_cache.prepared_values import DeferredValue

if TYPE_CHECKING:
    from turbo_orm.query_cache.cache_entry import CacheEntry


class CachedChain(tuple["CacheEntry", tuple[Any, ...]]):
    """A cache entry, and the values given on the way to it, in the order of the calls."""

    # A plain tuple is made without a Python call, which a NamedTuple is not.
    __slots__ = ()

    @property
    def entry(self) -> CacheEntry:
        return self[0]


class NestedChain:
    """A chain that is part of another one: of a queryset that is an argument, or of a subquery.

    ``using`` is the database that was chosen for the queryset, which Django compares with that of
    the outer one. Slices are part of the key; the other values are among those of the outer chain.
    """

    __slots__ = ("entry", "expression", "twin", "using", "values")

    def __init__(
        self,
        entry: CacheEntry,
        values: Sequence[Any],
        using: str | None,
        expression: Any = None,
        twin: Any = None,
    ) -> None:
        self.entry = entry
        self.values = values
        self.using = using
        #: What makes an expression of its query, if it is part of one.
        self.expression = expression
        #: The query of Django's making, where statements are verified.
        self.twin = twin

    @classmethod
    def of(cls, queryset: Any) -> Self:
        """Return what stands for a queryset as it is now. Raise ``NoCacheKey`` if nothing does."""
        chain = getattr(queryset, "_cached", None)
        if type(chain) is not CachedChain:
            why = getattr(queryset, "_bypass_reason", "it is none of turbo_orm")
            raise NoCacheKey(f"a queryset without chain ({why})")
        if queryset._result_cache is not None:
            # Django has compiled its query, which has the joins of that since.
            raise NoCacheKey("a queryset that has its results")
        entry, given = chain
        if entry.locks_rows:
            raise NoCacheKey("a queryset that locks rows")
        try:
            # Django makes their lookups now, since it reads the query.
            values = [each.prepared() if type(each) is DeferredValue else each for each in given]
        except Exception:
            raise NoCacheKey("a queryset with a value that Django refuses") from None
        return cls(entry, values, queryset._db)

    @property
    def key(self) -> tuple[Any, ...]:
        """What of it decides the SQL."""
        slices = [(each.start, each.stop) for each in self.values if type(each) is slice]
        return self.entry, self.using, *slices

    @property
    def own_values(self) -> list[Any]:
        """The values that are no part of its key."""
        return [each for each in self.values if type(each) is not slice]

    def renewed(self, replaced: Callable[[Any], Any]) -> NestedChain:
        """Return one with each value replaced."""
        values = [each if type(each) is slice else replaced(each) for each in self.values]
        return NestedChain(self.entry, values, self.using, self.expression)

    def queryset(self, query_class: type[Query]) -> Any:
        """Return Django's queryset of the chain, over a query of this class."""
        model: Any = self.entry.model
        # A tracing query looks at the model, too.
        query = getattr(query_class, "nested", query_class)(model)
        queryset: Any = QuerySet(model, query, self.using)
        return self.entry.replay(queryset, iter(self.values))

    def argument(self, query_class: type[Query]) -> Any:
        """Return the argument that it stands for: the queryset, or the expression."""
        queryset = self.queryset(query_class)
        return queryset if self.expression is None else self.expression.of_query(queryset.query)

    def __deepcopy__(self, memo: Any) -> Self:
        # Nothing changes it.
        return self


def of_querysets(
    args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], list[Any]]:
    """Return the key and the values of querysets that are combined, with options of ``bool``.

    Raises ``NoCacheKey``.
    """
    if any(type(option) is not bool for option in kwargs.values()):
        raise NoCacheKey("an option that is no bool")
    chains = [NestedChain.of(each) for each in args]
    values = [value for chain in chains for value in chain.own_values]
    return (*kwargs.items(), *[chain.key for chain in chains]), values
