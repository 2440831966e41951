"""The methods that make a queryset of another one: each is a step in the tree of shapes.

A step that is known needs nothing of Django. One that is not is taken by Django, and once more by
a query that learns which value goes where.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from django.db.models import Model, Prefetch

from turbo_orm.orm.chain import Chained
from turbo_orm.query_cache import cache_key, tracing
from turbo_orm.query_cache.cache import Shape, Step, Structure, shapes
from turbo_orm.query_cache.cache_key import Opaque
from turbo_orm.query_cache.parameters import Deferred, plain_values, preparations, quietly
from turbo_orm.query_cache.tracers import LearningQuery, Unlearnable

if TYPE_CHECKING:
    from typing import Self

    from typing_extensions import TypeVar

    _ModelT = TypeVar("_ModelT", bound=Model, covariant=True)
    _Row = TypeVar("_Row", covariant=True, default=_ModelT)
else:
    # Nothing looks at them: Django's classes ignore what is in their brackets.
    _ModelT = _Row = Any


class Stepping(Chained[_ModelT, _Row]):
    """A queryset whose methods go where they have led before."""

    def _step(self, name: str, of: Structure, args: Sequence[Any], kwargs: dict[str, Any]) -> Self:
        """Call a method that makes a queryset of this one, or go where it has led before."""
        shape = self._shape
        if shape is None or self._iterable_class is not shape.iterable_class:
            return self._leave_by(name, args, kwargs)
        try:
            structure_, values = of(args, kwargs)
        except Opaque as exc:
            return self._leave_by(name, args, kwargs, f"{name}() is given {exc}")
        key = (name, structure_, self._sticky_filter)
        child = shape.children.get(key)
        if child is None:
            return self._first_step(shape, key, name, args, kwargs, values)
        if child.refusal:
            return self._leave_by(name, args, kwargs, child.refusal)
        try:
            given = self._given_with(child, values) if values else self._given
        except Exception:
            # Django looks at the values in an order of its own, and raises for the first.
            return self._leave_by(name, args, kwargs, f"{name}() is given what becomes NULL")
        if tracing.VERIFIES:
            twin = self._twin_by(name, args, kwargs)
            self._defer_next_filter = False
            led = self._go(child, given)
            led._twin = twin
            return led
        if self._defer_next_filter:
            self._defer_next_filter = False
        return self._copy(child, given) if self._cloning_enabled else self._go(child, given)

    def _leave_by(
        self, name: str, args: Sequence[Any], kwargs: dict[str, Any], why: str = ""
    ) -> Self:
        """Call Django's method, whose result has a query, and no shape."""
        shape = self._shape
        made: Any = None
        try:
            made = getattr(super(), name)(*args, **kwargs)
            if shape is not None and isinstance(made, Chained):
                # Has been built, but for where a filter was deferred.
                _ = made._query
                made._shape = None
                made._left_for = why
        finally:
            if made is not self:
                # Its own query was only read.
                self._shape = shape
        left: Self = made
        return left

    def _led_by_filter(
        self, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[Shape, tuple[Any, ...]] | None:
        """Return the shape and the values of what ``filter()`` would return, if it is known."""
        if tracing.VERIFIES:
            # So that Django's own filter() is called, too.
            return None
        try:
            structure_, values = cache_key.of_lookups(args, kwargs)
        except Opaque:
            return None
        child = self._shape.children.get(("filter", structure_, False))  # type: ignore[union-attr]
        if child is None or child.refusal or self._sticky_filter:
            return None
        if child.step.prepared is None:  # type: ignore[union-attr]
            return child, (*self._given, *values)
        try:
            return child, self._given_with(child, values)
        except Exception:
            return None

    def _given_with(self, child: Shape, values: Sequence[Any]) -> tuple[Any, ...]:
        """Return the values with those of one more step, which Django would prepare now."""
        prepared = child.step.prepared  # type: ignore[union-attr]
        if prepared is None:
            pass
        elif self._defer_next_filter:
            values = [
                value if prepare is None else Deferred(value, prepare)
                for prepare, value in zip(prepared, values, strict=True)
            ]
        else:
            values = [
                value if prepare is None else prepare(value)
                for prepare, value in zip(prepared, values, strict=True)
            ]
        return (*self._given, *values)

    def _first_step(
        self,
        shape: Shape,
        key: tuple[Any, ...],
        name: str,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        values: list[Any],
    ) -> Self:
        """Have Django call a method, and make known where it leads to."""
        before, is_deferred = self._given, self._defer_next_filter
        clone = self._leave_by(name, args, kwargs)
        if type(clone) is not type(self):
            return clone
        if name in _OF_LOOKUPS:
            # What is kept is the structure, with nothing of the values.
            args, kwargs = cache_key.map_values(args, kwargs, lambda value: "")
        values_before = plain_values(before)

        def take(marked: Sequence[Any]) -> Any:
            queryset = shape.take(self._over(LearningQuery(self.model)), values_before)
            return step.take(queryset, iter(marked))

        try:
            # What a caller does to a list afterwards is no matter of the structure.
            step = Step(name, *deepcopy((args, kwargs)), key[-1])
            with quietly():
                prepared = preparations(take, values)
                step.prepared = prepared if any(prepared) else None
                child = shapes.add(shape, key, step, clone._iterable_class, clone._fields)
                self._given, self._defer_next_filter = before, is_deferred
                clone._given = self._given_with(child, values)
        except Exception as exc:
            # What is not understood is Django's.
            told = str(exc) if isinstance(exc, Unlearnable) else type(exc).__qualname__
            clone._left_for = f"{name}() is not understood: {told}"
            shapes.refuse(shape, key, clone._left_for)
            return clone
        finally:
            self._defer_next_filter = False
        clone._shape = child
        clone._left_for = ""
        return clone

    def filter(self, *args: Any, **kwargs: Any) -> Self:
        return self._step("filter", cache_key.of_lookups, args, kwargs)

    def exclude(self, *args: Any, **kwargs: Any) -> Self:
        return self._step("exclude", cache_key.of_lookups, args, kwargs)

    def order_by(self, *field_names: Any) -> Self:
        return self._step("order_by", cache_key.of_names, field_names, {})

    def reverse(self) -> Self:
        return self._step("reverse", cache_key.of_names, (), {})

    def distinct(self, *field_names: Any) -> Self:
        return self._step("distinct", cache_key.of_names, field_names, {})

    def only(self, *fields: Any) -> Self:
        return self._step("only", cache_key.of_names, fields, {})

    def defer(self, *fields: Any) -> Self:
        return self._step("defer", cache_key.of_names, fields, {})

    def select_related(self, *fields: Any) -> Self:
        return self._step("select_related", cache_key.of_names, fields, {})

    def annotate(self, *args: Any, **kwargs: Any) -> Self:
        return self._step("annotate", cache_key.of_names, args, kwargs)

    def alias(self, *args: Any, **kwargs: Any) -> Self:
        return self._step("alias", cache_key.of_names, args, kwargs)

    def prefetch_related(self, *lookups: Any) -> Self:
        shape = self._shape
        if shape is None or not all(isinstance(lookup, str | Prefetch) for lookup in lookups):
            return super().prefetch_related(*lookups)
        clone: Self = self._chain()  # type: ignore[attr-defined]
        clone._prefetch_related_lookups += lookups
        return clone

    if not TYPE_CHECKING:
        # Django's stubs know more of these.

        def values(self, *fields: Any, **expressions: Any) -> Any:
            return self._step("values", cache_key.of_names, fields, expressions)

        def values_list(self, *fields: Any, **options: Any) -> Any:
            return self._step("values_list", cache_key.of_names, fields, options)

        def __getitem__(self, k: Any) -> Any:
            if type(k) is not slice or self._result_cache is not None or k.step:
                return super().__getitem__(k)
            if self._given and type(self._given[-1]) is slice:
                return self._leave_by("__getitem__", (k,), {}, "a slice is sliced")
            return self._step("__getitem__", cache_key.of_slice, (k,), {})


_OF_LOOKUPS = {"exclude", "filter"}
