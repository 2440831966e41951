"""Hydrates each result a second time, by Django's own iterables, and compares.

They are given the rows that psycopg makes of the very result that the native core has read, so
that no statement is executed twice.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import unwrap
from types import SimpleNamespace
from typing import Any
from unittest import mock

import psycopg.adapt
from django.db.models import Model, QuerySet
from django.db.models.query import RawModelIterable, RawQuerySet

from turbo_orm.execution import fetching
from turbo_orm.hydration.hydrator import Hydrator
from turbo_orm.hydration.plan_cache import CachedPlan
from turbo_orm.hydration.row_layout import Layout
from turbo_orm.query_cache.recording_connection import RecordingConnection

#: Results that were hydrated twice, and the rows in them.
results = 0
rows = 0
#: What differed, with the test.
differences: list[str] = []


def install(current_test: Callable[[], str]) -> None:
    """Have whatever hydrates compare, and raise where there is a difference."""
    of, of_raw = Layout.of.__func__, Layout.of_raw.__func__
    new_hydrator, cached_hydrator = fetching._new_hydrator, fetching.hydrator_for
    hydrate_result, hydrate_rows = Hydrator.result, Hydrator.rows
    hydrate_cached, record_rows = CachedPlan.hydrate, RecordingConnection.record_rows
    of_aggregates, hydrate_aggregates = Layout.of_aggregates.__func__, fetching.hydrate_aggregates
    hydrate_statement = fetching.hydrate
    recorded: list[Any] = []
    raw: list[Any] = []
    aggregating: list[Any] = []

    def layout_of(cls: Any, queryset: Any, compiler: Any) -> Any:
        layout = of(_Noted, queryset, compiler)
        if isinstance(compiler.connection, RecordingConnection):
            # It has no rows, and the connection keeps the layout: that would be a cycle.
            return layout
        return layout.noting(_Compiled(queryset, compiler))

    def layout_of_raw(cls: Any, queryset: Any, connection: Any) -> Any:
        return of_raw(_Noted, queryset, connection).noting(_Raw(queryset))

    def new(queryset: Any, layout: Any, connection: Any, driver: Any = None, *how: Any) -> Any:
        hydrator: Any = new_hydrator(queryset, layout, connection, driver, *how)
        # That of a cached statement is of the query that it was traced for.
        hydrator.again = getattr(layout, "again", None) or written(queryset)
        hydrator.driver = getattr(driver, "_cursor", driver)
        return hydrator

    def cached(statement: Any, queryset: Any, connection: Any, *how: Any) -> Any:
        hydrator: Any = cached_hydrator(statement, queryset, connection, *how)
        hydrator.again = _Raw(queryset) if raw else written(queryset)
        hydrator.driver = connection
        return hydrator

    def of_statement(queryset: Any, *how: Any, **options: Any) -> Any:
        raw[:] = [queryset] if isinstance(queryset, RawQuerySet) else []
        return hydrate_statement(queryset, *how, **options)

    def recording_rows(self: Any, queryset: Any, compiler: Any) -> list[Any]:
        # Each statement that is reused is written by Django before: its rows are those asked next.
        recorded[:] = [queryset, compiler]
        return record_rows(self, queryset, compiler)

    def written(queryset: Any) -> _Compiled:
        known = queryset._known_related_objects
        return _Compiled(_like(recorded[0], _known_related_objects=known), recorded[1])

    def result(self: Any, pgresult: Any, start: int, stop: int) -> list[Any]:
        join, self._join = self._join, None
        objects = hydrate_result(self, pgresult, start, stop)
        self._join = join
        if not hasattr(self, "again"):
            # That of aggregates.
            return objects
        transformer = psycopg.adapt.Transformer(self.driver)
        transformer.set_pgresult(pgresult)
        loaded = transformer.load_rows(start, stop, tuple)
        _compare(objects, self.again(loaded), current_test())
        # What they are joined to is none of the rows.
        return objects if join is None else hydrate_result(self, pgresult, start, stop)

    def hydrate(self: Any, context: Any, pgresult: Any, join: Any = None) -> list[Any]:
        objects = hydrate_cached(self, context, pgresult)
        transformer = psycopg.adapt.Transformer(context)
        transformer.set_pgresult(pgresult)
        loaded = transformer.load_rows(0, pgresult.ntuples, tuple)
        again: Any = _Raw(*raw) if raw else _Compiled(*recorded)
        _compare(objects, again(loaded), current_test())
        return objects if join is None else hydrate_cached(self, context, pgresult, join)

    def layout_of_aggregates(cls: Any, compiler: Any) -> Any:
        aggregating[:] = [compiler]
        return of_aggregates(cls, compiler)

    def aggregates(statement: Any, pgresult: Any, context: Any, **how: Any) -> Any:
        with mock.patch.object(CachedPlan, "hydrate", hydrate_cached):
            found = hydrate_aggregates(statement, pgresult, context, **how)
        transformer = psycopg.adapt.Transformer(context)
        transformer.set_pgresult(pgresult)
        expected = _aggregates(aggregating[0], transformer.load_rows(0, 1, tuple))

        async def compared() -> Any:
            awaited = await found
            _compare([awaited], [expected], current_test())
            return awaited

        if not isinstance(found, dict):
            return compared()
        _compare([found], [expected], current_test())
        return found

    def rows(self: Any, loaded: list[tuple[Any, ...]]) -> list[Any]:
        objects = hydrate_rows(self, loaded)
        _compare(objects, self.again(loaded), current_test())
        return objects

    Layout.of, Layout.of_raw = classmethod(layout_of), classmethod(layout_of_raw)
    fetching._new_hydrator, fetching.hydrator_for = new, cached
    fetching.hydrate = of_statement
    Layout.of_aggregates = classmethod(layout_of_aggregates)
    fetching.hydrate_aggregates = aggregates
    Hydrator.result, Hydrator.rows = result, rows
    CachedPlan.hydrate, RecordingConnection.record_rows = hydrate, recording_rows


class _Noted(Layout):
    """A layout, and a function that does what Django does with the rows that it describes."""

    again: Any

    def noting(self, again: Any) -> Any:
        self.again = again
        return self


def _like(queryset: Any, **changes: Any) -> Any:
    """Return a queryset with the same attributes, and some that differ. To pickle evaluates."""
    like = object.__new__(type(queryset))
    like.__dict__.update(queryset.__dict__, **changes)
    return like


class _Compiled:
    """Does with rows what the iterable of a queryset does with those of a compiled query."""

    def __init__(self, queryset: QuerySet[Any], compiler: Any) -> None:
        self.compiler = object.__new__(type(compiler))
        self.compiler.__dict__.update(compiler.__dict__)
        query = _Query(queryset.query, self.compiler)
        self.queryset = _like(queryset, _query=query, _db=compiler.using)

    def __call__(self, rows: list[Any]) -> list[Any]:
        compiler = self.compiler
        if compiler.has_extra_select:
            rows = [row[: compiler.col_count] for row in rows]
        compiler.execute_sql = lambda *args, **kwargs: iter([rows])
        iterable = self.queryset._iterable_class(self.queryset)
        # Django's own, where it is patched.
        return list(unwrap(type(iterable).__iter__)(iterable))


def _aggregates(compiler: Any, rows: list[Any]) -> dict[str, Any]:
    """Return what ``Query.get_aggregation()`` makes of the row of its query."""
    expressions = compiler.query.annotation_select
    converters = compiler.get_converters(expressions.values())
    return dict(zip(expressions, next(compiler.apply_converters(rows, converters)), strict=True))


class _Query:
    """A query that has been compiled."""

    def __init__(self, query: Any, compiler: Any) -> None:
        self._query = query
        self._compiler = compiler

    def __getattr__(self, name: str) -> Any:
        return getattr(self._query, name)

    @property
    def selected(self) -> Any:
        # The compiler may have added a column since, to order combined queries by.
        selected = self._query.selected
        return selected and dict(list(selected.items())[: self._compiler.col_count])

    def get_compiler(self, *args: Any, **kwargs: Any) -> Any:
        return self._compiler


class _Raw:
    """Does with rows what the iterable of a raw queryset does."""

    def __init__(self, queryset: Any) -> None:
        self.queryset = queryset

    def __call__(self, rows: list[Any]) -> list[Any]:
        class Query(type(self.queryset.query)):  # type: ignore[misc]
            def __iter__(self) -> Any:
                return iter(rows)

        query = object.__new__(Query)
        # Django closes the cursor of the query when it has read it.
        # One that was executed directly has no cursor, and has its columns.
        description = getattr(self.queryset.query.cursor, "description", None)
        described = SimpleNamespace(description=description, close=lambda: None)
        query.__dict__.update(self.queryset.query.__dict__, cursor=described)
        return list(RawModelIterable(_like(self.queryset, query=query)))


def _compare(objects: list[Any], expected: list[Any], test: str) -> None:
    global results, rows
    results += 1
    rows += len(expected)
    difference = _difference(objects, expected, "", set())
    if difference:
        differences.append(f"{test}: {difference}")
        raise AssertionError(f"Django hydrates another way: {difference}")


def _difference(a: Any, b: Any, path: str, seen: set[int]) -> str:
    """Return where two objects differ and how, or nothing."""
    if a is b or id(a) in seen:
        return ""
    if type(a) is not type(b):
        return f"{path}: {type(a)} is not {type(b)}"
    if isinstance(a, Model):
        seen.add(id(a))
        return _difference(_parts(a), _parts(b), path, seen)
    if isinstance(a, dict):
        if list(a) != list(b):
            return f"{path}: {list(a)} is not {list(b)}"
        a, b = list(a.items()), list(b.items())
        return _first(
            _difference(x, y, f"{path}.{key}", seen) for (key, x), (_, y) in zip(a, b, strict=True)
        )
    if isinstance(a, list | tuple):
        if len(a) != len(b):
            return f"{path}: {len(a)} is not {len(b)}"
        return _first(
            _difference(x, y, f"{path}[{i}]", seen)
            for i, (x, y) in enumerate(zip(a, b, strict=True))
        )
    if a == b or repr(a) == repr(b):
        return ""
    # It may refer to what it is a part of.
    seen.add(id(a))
    parts = getattr(a, "__dict__", None), getattr(b, "__dict__", None)
    return f"{path}: {a!r} is not {b!r}" if not all(parts) else _difference(*parts, path, seen)


def _first(differences: Any) -> str:
    return next(filter(None, differences), "")


def _parts(instance: Model) -> dict[str, Any]:
    """Return an instance's attributes and state: which of its peers it is, too."""
    parts = {name: value for name, value in instance.__dict__.items() if name != "_state"}
    state = dict(instance._state.__dict__)
    # Django makes an empty one where a foreign key is stored, and turbo-orm where one is needed.
    state["fields_cache"] = state.pop("fields_cache", {})
    if "peers" in state:
        state["peers"] = [peer() is instance for peer in state["peers"]]
    return {**parts, "_state": state}
