"""A queryset that is an argument of another one: of ``union()`` and the like, or as a value.

Django takes its query for a part of the other one's. It only reads it, so the queryset keeps its
chain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Model

from turbo_orm import conf
from turbo_orm.orm.cached_queryset import CachedQuerySet
from turbo_orm.query_cache.cached_chain import CachedChain, of_querysets
from turbo_orm.query_cache.chain import extend

if TYPE_CHECKING:
    from typing import Self

    from typing_extensions import TypeVar

    _ModelT = TypeVar("_ModelT", bound=Model, covariant=True)
    _Row = TypeVar("_Row", covariant=True, default=_ModelT)
else:
    # Nothing looks at them: Django's classes ignore what is in their brackets.
    _ModelT = _Row = Any


class CombinedQuerySet(CachedQuerySet[_ModelT, _Row]):
    """A queryset that is combined with others, by the query cache if it was so before."""

    @property
    def _is_combined(self) -> bool:
        """Whether Django refuses most methods that would change the query."""
        return self._cached is not None and self._cached[0].is_combined

    def _as_argument(self) -> Any:
        """Return a queryset without chain, over a query that Django may read."""
        if self._cached is None:
            return self
        if conf.VERIFIES:
            return self._by_django_alone(self._cached)
        return self._without_chain("it is an argument of another queryset")

    def _combine(self, name: str, others: tuple[Any, ...], **options: Any) -> Self:
        chain = self._cached
        if chain is None or not others:
            made: Self = getattr(super(), name)(*others, **options)
            return made
        root = chain[0]
        while root.parent is not None:
            root = root.parent
        base, combined = CachedChain((root, ())), (self, *others)
        is_plain = not (self._sticky_filter or self._defer_next_filter)
        if is_plain and self._cloning_enabled and not conf.VERIFIES:
            extended = extend(base, name, of_querysets, combined, options)
            if type(extended) is CachedChain:
                return self._copy(extended)
        querysets = [
            each._as_argument() if isinstance(each, CombinedQuerySet) else each for each in others
        ]
        if not is_plain:
            return self._by_django(name, querysets, options, f"{name}() follows on no filter")
        return self._step(name, of_querysets, querysets, options, (base, combined))

    if not TYPE_CHECKING:
        # Django's stubs know more of these.

        def union(self, *other_qs: Any, all: bool = False) -> Any:
            return self._combine("union", other_qs, all=all)

        def intersection(self, *other_qs: Any) -> Any:
            return self._combine("intersection", other_qs)

        def difference(self, *other_qs: Any) -> Any:
            return self._combine("difference", other_qs)

        def resolve_expression(self, *args: Any, **kwargs: Any) -> Any:
            if self._cached is None:
                return super().resolve_expression(*args, **kwargs)
            return self._as_argument().resolve_expression(*args, **kwargs)

        resolve_expression.queryset_only = True
