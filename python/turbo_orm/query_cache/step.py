"""A step of a chain: the call of a method that returns another queryset, without its values."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from operator import methodcaller
from typing import Any

from django.db.models import FilteredRelation, QuerySet

from turbo_orm.query_cache import prefetch_filters
from turbo_orm.query_cache.replacement import map_values

# Django's own methods, whatever a class has in their place.
_DJANGOS = {**vars(QuerySet), **prefetch_filters.STEPS}

#: The methods that combine querysets.
COMBINATORS = frozenset({"difference", "intersection", "union"})

#: The methods after which objects can be filtered as those of a prefetch are.
STEPS_TO_OBJECTS = {
    "alias",
    "annotate",
    "defer",
    "distinct",
    "exclude",
    "filter",
    "only",
    "order_by",
    "reverse",
    "select_for_update",
    "select_related",
}

type KeyOf = Callable[[Sequence[Any], dict[str, Any]], tuple[Hashable, list[Any]]]


class Step:
    """A call of a method that returns a queryset: ``filter(…)``, ``order_by(…)``."""

    __slots__ = ("args", "factories", "is_sticky", "kwargs", "name")

    def __init__(
        self, name: str, args: Sequence[Any], kwargs: dict[str, Any], is_sticky: bool = False
    ) -> None:
        self.name = name
        #: Whether the filter after this one shares its joins, as in a related manager.
        self.is_sticky = is_sticky
        self.args = tuple(args)
        self.kwargs = kwargs
        #: What makes a lookup of each value, or ``None`` for a value that stays as it is. ``None``
        #: instead of them all if each stays so.
        self.factories: Sequence[Any] | None = None

    @property
    def filtered_relations(self) -> list[str]:
        """The names of the filtered relations that it adds."""
        return [name for name, arg in self.kwargs.items() if type(arg) is FilteredRelation]

    def replay(self, queryset: Any, values: Iterator[Any]) -> Any:
        """Call the method once more, with other values."""
        if self.name in COMBINATORS:
            return self._combine(queryset, values)
        build = methodcaller("argument", type(queryset._query))
        args, kwargs = map_values(self.name, self.args, self.kwargs, lambda _: next(values), build)
        if self.is_sticky:
            queryset = queryset._next_is_sticky()
        return _DJANGOS[self.name](queryset, *args, **kwargs)

    def _combine(self, queryset: Any, values: Iterator[Any]) -> Any:
        """Call ``union()`` or the like: a step from the model, with all querysets as arguments."""
        query_class = type(queryset._query)
        args, kwargs = map_values(self.name, self.args, self.kwargs, lambda _: next(values))
        if (require_columns := getattr(query_class, "require_columns", None)) is not None:
            # A tracing query looks at those that are selected without having been named.
            for each in args:
                require_columns(each.entry.model)
        first, *others = args
        queryset = first.entry.replay(queryset, iter(first.values))
        combined = [each.queryset(query_class) for each in others]
        return _DJANGOS[self.name](queryset, *combined, **kwargs)
