"""What the rows of a compiled query become, before a result says of which types its columns are.

A layout has the expressions that are selected, and what is made of a row of them: an instance, a
tuple, a dict, a value. With the result's **columns** it makes a plan for the **hydrator**.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, Self

from django.db.models.expressions import ColPairs
from django.db.models.query import (
    FlatValuesListIterable,
    ModelIterable,
    NamedValuesListIterable,
    RawQuerySet,
    ValuesIterable,
    ValuesListIterable,
)
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.utils import create_namedtuple_class

from turbo_orm._core import Column, Plan
from turbo_orm.bridge.replaced_methods import is_own
from turbo_orm.hydration.columns import (
    SelectedColumn,
    aggregate_columns,
    raw_selected_columns,
    selected_columns,
)
from turbo_orm.hydration.instances import instance, raw_instance

type Item = int | list[int]

#: Django's iterable classes whose objects the native core makes.
NATIVE_ITERABLES = {
    FlatValuesListIterable,
    ModelIterable,
    NamedValuesListIterable,
    ValuesIterable,
    ValuesListIterable,
}


def hydrates(queryset: Any) -> bool:
    """Return whether the queryset yields what the native core can build.

    It does unless another package has given it an iterable class of its own, or has replaced what
    Django gets rows by (cachalot's caches those of the compiler). Raises ``ValueError`` for names
    that a named tuple cannot have, as Django does: before the query.
    """
    iterable = queryset._iterable_class
    if iterable is NamedValuesListIterable:
        _row_class(queryset)
    return (
        iterable in NATIVE_ITERABLES
        and is_own(iterable.__iter__)
        and is_own(SQLCompiler.execute_sql)
        and is_own(SQLCompiler.results_iter)
    )


class Layout(NamedTuple):
    """The columns that are selected, and the function that makes a plan of how they are read."""

    selected: Sequence[SelectedColumn]
    plan: Callable[[list[Column]], Plan]

    @classmethod
    def of(cls, queryset: Any, compiler: Any) -> Self:
        """Return the layout of a queryset's rows. Its query has been compiled."""
        return cls(selected_columns(compiler), _planner(queryset, compiler))

    @classmethod
    def of_aggregates(cls, compiler: Any) -> Self | None:
        """Return the layout of the row of ``aggregate()``, which becomes a dict.

        ``None`` if a value of it has several columns. Its query has been compiled.
        """
        aggregates = compiler.query.annotation_select
        names, expressions = [*aggregates], [*aggregates.values()]
        if compiler.has_composite_fields(expressions):
            return None
        selected = aggregate_columns(compiler, names, expressions)
        items: list[Item] = [*range(len(names))]
        label = compiler.query.model._meta.label
        return cls(selected, lambda columns: Plan.dicts(label, columns, items, names))

    @classmethod
    def of_raw(cls, queryset: RawQuerySet[Any], connection: Any) -> Self:
        """Return the layout of a raw query's rows. It has been executed."""
        model: Any = queryset.model
        label, described = model._meta.label, raw_instance(queryset)
        return cls(
            raw_selected_columns(queryset, connection),
            lambda columns: Plan.instances(label, columns, described),
        )


def _planner(queryset: Any, compiler: Any) -> Callable[[list[Column]], Plan]:
    label = queryset.model._meta.label
    iterable = queryset._iterable_class
    if iterable is ModelIterable:
        described = instance(
            compiler,
            compiler.klass_info,
            fetch_mode=getattr(queryset, "_fetch_mode", None),
            annotations=compiler.annotation_col_map,
        )
        return lambda columns: Plan.instances(label, columns, described)
    items = list(_items(compiler))
    if iterable is FlatValuesListIterable:
        return lambda columns: Plan.flat(label, columns, items[0])
    if iterable is ValuesListIterable:
        return lambda columns: Plan.tuples(label, columns, items)
    if iterable is NamedValuesListIterable:
        return partial(_named_tuples, label, items, _row_class(queryset))
    # The compiler may have added a column since, to order combined queries by.
    names = list(queryset.query.selected or _names(queryset.query))[: len(items)]
    return lambda columns: Plan.dicts(label, columns, items[: len(names)], names)


def _named_tuples(
    label: str, items: Sequence[Item], row_class: type, columns: list[Column]
) -> Plan:
    return Plan.tuples(label, columns, items, row_class)


def _row_class(queryset: Any) -> type:
    """Return Django's class of named tuples with the names of a queryset."""
    names = queryset._fields or _names(queryset.query)
    row_class: type = create_namedtuple_class(*names)
    return row_class


def _names(query: Any) -> tuple[str, ...]:
    return (*query.extra_select, *query.values_select, *query.annotation_select)


def _items(compiler: Any) -> Iterator[Item]:
    """Yield what each selected expression is in a row: a column, or several as a tuple."""
    column = 0
    for expression, _, _ in compiler.select[: compiler.col_count]:
        if isinstance(expression, ColPairs):
            yield list(range(column, column + len(expression)))
            column += len(expression)
        else:
            yield column
            column += 1
