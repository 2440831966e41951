"""Tells how the rows of a queryset become objects: the tool to reach for when that is slow.

It shows the choices that hydration makes: turbo_orm.codecs.decoders' and
turbo_orm.hydration.columns' for each column, turbo_orm.hydration.instances' for each model.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.db.models.query import ModelIterable
from django.db.models.sql.constants import CURSOR

from turbo_orm import bridge
from turbo_orm._core import Column
from turbo_orm.bridge import sync_to_async
from turbo_orm.codecs.decoders import Decoders
from turbo_orm.execution.evaluation import compiler_for
from turbo_orm.execution.fetching import driver_cursor
from turbo_orm.hydration.columns import (
    Converter,
    converting_decoder,
    read_columns,
    value_readers,
)
from turbo_orm.hydration.hydrator import Hydrator
from turbo_orm.hydration.instances import attnames, cache_name, reasons_for_from_db
from turbo_orm.hydration.known_related_objects import known_related_objects
from turbo_orm.hydration.row_layout import Layout, hydrates
from turbo_orm.orm.queryset import AsyncQuerySet


@dataclass(frozen=True)
class ColumnExplanation:
    """How the values of one column are read.

    ``decoder`` is the native reader, or "loader" for psycopg's own, with a ``reason``.
    ``converters`` are the functions, Django's or yours, that are then called for each value.
    ``writes_json`` is true if ``ajson()`` writes the values without creating Python objects.
    """

    name: str
    type: str
    decoder: str
    reason: str
    converters: Sequence[str]
    writes_json: bool = False

    @property
    def is_native(self) -> bool:
        """Whether no Python code runs for the values."""
        return not self.reason and not self.converters


@dataclass(frozen=True)
class InstanceExplanation:
    """How the instances of one model are created: directly, or by ``from_db()`` for ``reasons``.

    ``path`` is the path of relations from the query's own instances to them.
    """

    model: str
    path: str
    reasons: Sequence[str]


@dataclass(frozen=True)
class HydrationExplanation:
    """How the rows of a queryset become objects. Print it to read it.

    ``known_fields`` are set to objects that the queryset knows, as a related manager's queryset
    does. ``is_native`` is true if no Python code runs for a row.
    """

    label: str
    shape: str
    columns: Sequence[ColumnExplanation] = ()
    instances: Sequence[InstanceExplanation] = ()
    known_fields: Sequence[str] = ()
    is_native: bool = False

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.label}: {self.shape}"
        if not self.columns:
            return
        for instance in self.instances:
            name = f"{instance.path}: {instance.model}" if instance.path else instance.model
            reasons = ", ".join(instance.reasons)
            yield f"  {name}: " + (
                f"by from_db(), since it {reasons}" if reasons else "filled directly"
            )
        for field in self.known_fields:
            yield f"  {field} is set to the object that the queryset knows, by its descriptor"
        if self.is_native:
            yield "  no Python code runs for a row: some are hydrated while others arrive"
        else:
            yield "  Python code runs for each row: all are hydrated after the last has arrived"
        if not self.instances:
            made = ", ".join(column.name for column in self.columns if not column.writes_json)
            yield "  ajson() makes " + (
                f"Python objects of {made}, for Django's encoder" if made else "no Python objects"
            )
        yield ""
        yield from _table(
            ("column", "type", "decoder", "and then"),
            [
                (column.name, column.type, column.decoder, "; ".join(_and_then(column)))
                for column in self.columns
            ],
        )


def explain_hydration(queryset: QuerySet[Any, Any]) -> HydrationExplanation:
    """Show how the rows of a queryset become objects, and what slows that down.

    The query is executed, but fetches at most one row, because only the result shows the types of
    the columns; another query looks up the names of the types. The queryset's cached results
    aren't changed.

    Raises ``TypeError`` for anything but a queryset of an ``AsyncManager``: Django hydrates the
    rows of others itself, unless it is patched.
    """
    if not isinstance(queryset, AsyncQuerySet) and not sync_to_async.redirects_everything():
        raise TypeError(
            "explain_hydration() takes a queryset of an AsyncManager, not "
            f"{type(queryset).__qualname__}: Django itself hydrates the rows of other querysets."
        )
    label = queryset.model._meta.label
    if not hydrates(queryset):
        iterable = f"{queryset._iterable_class.__module__}.{queryset._iterable_class.__qualname__}"
        return HydrationExplanation(label, f"whatever {iterable} makes of it")
    asked = queryset.all()
    asked.query.set_limits(high=1)
    compiler = compiler_for(asked)
    cursor = compiler.execute_sql(CURSOR)
    if cursor is None:
        return HydrationExplanation(label, "nothing, since nothing can match", is_native=True)
    with closing(cursor):
        driver = driver_cursor(cursor)
        pgresult = driver.pgresult
        layout = Layout.of(asked, compiler)
        selected = layout.selected
        readers = value_readers(selected, Decoders(driver), pgresult)
        columns = read_columns(selected, readers, compiler.connection)
        plan = layout.plan(columns)
        hydrator = Hydrator(plan, known_related_objects(asked))
    types = _type_names([pgresult.ftype(index) for index in range(len(readers))], compiler)
    instances: list[InstanceExplanation] = []
    paths: dict[int, str] = {}
    if queryset._iterable_class is ModelIterable:
        instances = list(_instances(compiler, compiler.klass_info, "", paths))
    explained = [
        _column(paths.get(index, "") + each.name, type_, reader, each.converters, column)
        for index, (each, reader, type_, column) in enumerate(
            zip(selected, readers, types, columns, strict=True)
        )
    ]
    return HydrationExplanation(
        label,
        hydrator.shape,
        explained,
        instances,
        hydrator.known_fields,
        plan.is_native and not hydrator.known_fields,
    )


async def aexplain_hydration(queryset: QuerySet[Any, Any]) -> HydrationExplanation:
    """Do what ``explain_hydration()`` does, on the async connection."""
    return await bridge.run(explain_hydration, queryset)


def _column(
    name: str, type_: str, reader: Any, converters: Sequence[Converter], column: Column
) -> ColumnExplanation:
    converting = converting_decoder(reader.decoder, converters)
    if converting:
        return ColumnExplanation(name, type_, converting.name, "", (), column.writes_json)
    described = [_describe(converter) for converter in converters]
    decoder, reason = reader.decoder.name, reader.reason
    return ColumnExplanation(name, type_, decoder, reason, described, column.writes_json)


def _describe(converter: Any) -> str:
    """Name a converter: a method by its object's class, a function by where it is."""
    function = inspect.unwrap(converter)
    owner = getattr(function, "__self__", None)
    if owner is not None:
        return f"{type(owner).__module__}.{type(owner).__qualname__}.{function.__name__}()"
    return f"{function.__module__}.{function.__qualname__}()"


def _instances(
    compiler: Any, klass_info: dict[str, Any], prefix: str, paths: dict[int, str]
) -> Iterator[InstanceExplanation]:
    """Explain the instances of a model and those related, and note where each column belongs."""
    model = klass_info["model"]
    names = attnames(klass_info, compiler.select)
    if not prefix:
        names += compiler.annotation_col_map or ()
    reasons = reasons_for_from_db(model, names)
    yield InstanceExplanation(model._meta.label, prefix.removesuffix("."), reasons)
    paths.update(dict.fromkeys(klass_info["select_fields"], prefix))
    for related in klass_info.get("related_klass_infos", []):
        name = cache_name(related["local_setter"]) or related["field"].name
        yield from _instances(compiler, related, f"{prefix}{name}.", paths)


def _type_names(oids: list[int], compiler: Any) -> list[str]:
    """Return the names of types as PostgreSQL spells them."""
    with compiler.connection.cursor() as cursor:
        cursor.execute(
            "SELECT format_type(oid, NULL) FROM unnest(%s::oid[]) WITH ORDINALITY AS x (oid, n)"
            " ORDER BY n",
            [oids],
        )
        return [name for (name,) in cursor.fetchall()]


def _and_then(column: ColumnExplanation) -> Iterator[str]:
    if column.reason:
        yield f"psycopg's loader reads it, since {column.reason}"
    for converter in column.converters:
        yield f"{converter} is called for each value"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, cells)) for cells in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  " + "  ".join(cells).rstrip()
