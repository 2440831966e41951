"""Turns results into the objects that a queryset yields, by a plan of the native core.

A plan says which column goes where and how it is read. It is made of what Django's compiler has
selected and of the types that the result says it has.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import django
from django.db.models import QuerySet
from django.db.models.expressions import ColPairs
from django.db.models.query import (
    FlatValuesListIterable,
    ModelIterable,
    NamedValuesListIterable,
    RawQuerySet,
    ValuesIterable,
    ValuesListIterable,
)
from django.db.models.utils import create_namedtuple_class

from turbo_orm import collector, libpq
from turbo_orm._core import Column, Plan
from turbo_orm.columns import raw_selected, result_columns, row_columns, selected
from turbo_orm.instances import instance, raw_instance

type Item = int | list[int]

_NATIVE_ITERABLES = {
    FlatValuesListIterable,
    ModelIterable,
    NamedValuesListIterable,
    ValuesIterable,
    ValuesListIterable,
}


def hydrates(queryset: QuerySet[Any, Any]) -> bool:
    """Return whether the queryset yields what the native core can build.

    It does unless another package has given it an iterable class of its own. Names that a named
    tuple cannot have are refused here, as Django does: before the server is asked.
    """
    if queryset._iterable_class is NamedValuesListIterable:
        _row_class(queryset)
    return queryset._iterable_class in _NATIVE_ITERABLES


class Hydrator:
    """Hydrates the results of one compiled query."""

    def __init__(self, plan: Plan, known_related_objects: Sequence[_KnownRelatedObjects]) -> None:
        collector.collect_if_due()
        self._plan = plan
        self._known_related_objects = known_related_objects
        #: Whether no code but the native core's runs: no converter, ``from_db()``, setter.
        self.is_native = plan.is_native and not known_related_objects
        #: What rows become: "instances", "tuples", "named tuples", "dicts" or "flat values".
        self.shape = plan.shape
        #: The fields of which the queryset knows the related objects.
        self.known_fields = [known.field.name for known in known_related_objects]

    @classmethod
    def for_result(
        cls, queryset: QuerySet[Any, Any], compiler: Any, driver_cursor: Any, pgresult: Any
    ) -> Hydrator:
        """Return a hydrator for results like ``pgresult``, which the driver's cursor received."""
        columns = result_columns(selected(compiler), compiler.connection, driver_cursor, pgresult)
        return cls(_plan(queryset, compiler, columns), _known_related_objects(queryset))

    @classmethod
    def for_rows(cls, queryset: QuerySet[Any, Any], compiler: Any) -> Hydrator:
        """Return a hydrator for row tuples that a cursor has loaded."""
        columns = row_columns(selected(compiler), compiler.connection)
        return cls(_plan(queryset, compiler, columns), _known_related_objects(queryset))

    @classmethod
    def for_raw_result(
        cls, queryset: RawQuerySet[Any], connection: Any, driver_cursor: Any, pgresult: Any
    ) -> Hydrator:
        """Return a hydrator for the result of a raw query."""
        columns = result_columns(
            raw_selected(queryset, connection), connection, driver_cursor, pgresult
        )
        return cls(_raw_plan(queryset, columns), ())

    @classmethod
    def for_raw_rows(cls, queryset: RawQuerySet[Any], connection: Any) -> Hydrator:
        """Return a hydrator for the row tuples of a raw query."""
        columns = row_columns(raw_selected(queryset, connection), connection)
        return cls(_raw_plan(queryset, columns), ())

    @staticmethod
    def reads_pgresults() -> bool:
        """Return whether psycopg's results can be read where they are. Row tuples always can."""
        return libpq.bind()

    def result(self, pgresult: Any, start: int, stop: int) -> list[Any]:
        """Hydrate rows ``start`` to ``stop`` of a result."""
        with self._hold_off_collector(stop - start):
            return self._finish(self._plan.hydrate_result(pgresult, start, stop))

    def rows(self, rows: list[tuple[Any, ...]]) -> list[Any]:
        """Hydrate row tuples."""
        with self._hold_off_collector(len(rows)):
            return self._finish(self._plan.hydrate_rows(rows))

    def _hold_off_collector(self, rows: int) -> AbstractContextManager[None]:
        # A model's own code may query, and wait.
        return collector.held_off(rows) if self.is_native else nullcontext()

    def _finish(self, objects: list[Any]) -> list[Any]:
        for known in self._known_related_objects:
            known.add_to(objects)
        return objects


def _plan(queryset: Any, compiler: Any, columns: list[Column]) -> Plan:
    label = queryset.model._meta.label
    iterable = queryset._iterable_class
    if iterable is ModelIterable:
        return Plan.instances(
            label,
            columns,
            instance(
                compiler,
                compiler.klass_info,
                fetch_mode=getattr(queryset, "_fetch_mode", None),
                annotations=compiler.annotation_col_map,
            ),
        )
    items = list(_items(compiler))
    if iterable is FlatValuesListIterable:
        return Plan.flat(label, columns, items[0])
    if iterable is ValuesListIterable:
        return Plan.tuples(label, columns, items)
    if iterable is NamedValuesListIterable:
        return Plan.tuples(label, columns, items, _row_class(queryset))
    # The compiler may have added a column since, to order combined queries by.
    names = list(queryset.query.selected or _names(queryset.query))[: len(items)]
    return Plan.dicts(label, columns, items[: len(names)], names)


def _raw_plan(queryset: Any, columns: list[Column]) -> Plan:
    return Plan.instances(queryset.model._meta.label, columns, raw_instance(queryset))


def _row_class(queryset: Any) -> type:
    """Return the class of named tuples, of which Django makes one for each set of names."""
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


class _KnownRelatedObjects:
    """Objects that a related manager knows its rows to refer to, by the values of their keys."""

    def __init__(self, field: Any, objects: dict[Any, Any], attnames: list[str]) -> None:
        self.field = field
        self.objects = objects
        self.attnames = attnames
        self.key_of = operator.attrgetter(*attnames)

    def add_to(self, instances: list[Any]) -> None:
        for obj in instances:
            # What select_related() has loaded stays.
            if self.field.is_cached(obj):
                continue
            # Since 6.1, a deferred key is not fetched for this.
            if django.VERSION >= (6, 1) and any(
                attname not in obj.__dict__ for attname in self.attnames
            ):
                continue
            related = self.objects.get(self.key_of(obj))
            if related is not None:
                setattr(obj, self.field.name, related)


def _known_related_objects(queryset: Any) -> list[_KnownRelatedObjects]:
    if queryset._iterable_class is not ModelIterable:
        return []
    get_field = queryset.model._meta.get_field
    return [
        _KnownRelatedObjects(
            field,
            objects,
            [
                field.attname if name == "self" else get_field(name).attname
                for name in field.from_fields
            ],
        )
        for field, objects in queryset._known_related_objects.items()
    ]
