"""Turns results into the objects that a queryset yields, by a plan of the native core.

A plan says which column goes where and how it is read. It is made of what Django's compiler has
selected and of the types that the result says it has.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import django
from django.db.models import QuerySet
from django.db.models.query import ModelIterable, RawQuerySet

from turbo_orm._core import Plan
from turbo_orm.codecs import libpq
from turbo_orm.codecs.decoders import receiving
from turbo_orm.hydration import gc_control
from turbo_orm.hydration.columns import result_columns, row_columns
from turbo_orm.hydration.row_layout import Layout

# The collector costs fewer rows than this less than it costs to keep it off.
FEW = 50


class Hydrator:
    """Hydrates the results of one compiled query."""

    def __init__(
        self,
        plan: Plan,
        known_related_objects: Sequence[KnownRelatedObjects],
        context: Any = None,
    ) -> None:
        gc_control.collect_if_due()
        self._context = context
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
        layout = Layout.of(queryset, compiler)
        columns = result_columns(layout.selected, compiler.connection, driver_cursor, pgresult)
        return cls(layout.plan(columns), known_related_objects(queryset))

    @classmethod
    def for_rows(cls, queryset: QuerySet[Any, Any], compiler: Any) -> Hydrator:
        """Return a hydrator for row tuples that a cursor has loaded."""
        layout = Layout.of(queryset, compiler)
        columns = row_columns(layout.selected, compiler.connection)
        return cls(layout.plan(columns), known_related_objects(queryset))

    @classmethod
    def for_raw_result(
        cls, queryset: RawQuerySet[Any], connection: Any, driver_cursor: Any, pgresult: Any
    ) -> Hydrator:
        """Return a hydrator for the result of a raw query."""
        layout = Layout.of_raw(queryset, connection)
        columns = result_columns(layout.selected, connection, driver_cursor, pgresult)
        return cls(layout.plan(columns), ())

    @classmethod
    def for_raw_rows(cls, queryset: RawQuerySet[Any], connection: Any) -> Hydrator:
        """Return a hydrator for the row tuples of a raw query."""
        layout = Layout.of_raw(queryset, connection)
        return cls(layout.plan(row_columns(layout.selected, connection)), ())

    @staticmethod
    def reads_pgresults() -> bool:
        """Return whether psycopg's results can be read where they are. Row tuples always can."""
        return libpq.bind()

    def result(self, pgresult: Any, start: int, stop: int) -> list[Any]:
        """Hydrate rows ``start`` to ``stop`` of a result."""
        receiving.context = self._context
        try:
            with self._hold_off_collector(stop - start):
                return self._finish(self._plan.hydrate_result(pgresult, start, stop))
        finally:
            receiving.context = None

    def rows(self, rows: list[tuple[Any, ...]]) -> list[Any]:
        """Hydrate row tuples."""
        with self._hold_off_collector(len(rows)):
            return self._finish(self._plan.hydrate_rows(rows))

    def _hold_off_collector(self, rows: int) -> AbstractContextManager[None]:
        # A model's own code may query, and wait.
        return gc_control.held_off(rows) if self.is_native else nullcontext()

    def _finish(self, objects: list[Any]) -> list[Any]:
        for known in self._known_related_objects:
            known.add_to(objects)
        return objects


class KnownRelatedObjects:
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


def known_related_objects(queryset: Any) -> list[KnownRelatedObjects]:
    if queryset._iterable_class is not ModelIterable:
        return []
    get_field = queryset.model._meta.get_field
    return [
        KnownRelatedObjects(
            field,
            objects,
            [
                field.attname if name == "self" else get_field(name).attname
                for name in field.from_fields
            ],
        )
        for field, objects in queryset._known_related_objects.items()
    ]
