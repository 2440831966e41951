"""Rows as JSON: what ``json.dumps()`` with Django's encoder makes of a queryset's results.

The native core writes the rows of a cached statement. A value that it does not write is made as
ever, and encoded by ``DjangoJSONEncoder``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import batched
from typing import Any

import psycopg
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models.query import ModelIterable, ValuesIterable

from turbo_orm import bridge
from turbo_orm._core import Plan
from turbo_orm.backend.handler import process_connection
from turbo_orm.codecs.decoders import adapt_context
from turbo_orm.execution import fetching
from turbo_orm.execution.arriving_rows import ArrivingRows
from turbo_orm.execution.json_members import Members, members_of, write
from turbo_orm.query_cache.compiled import CompiledStatement

_encode = DjangoJSONEncoder().encode


def refuse_instances(queryset: Any, nested: Any = False) -> None:
    """Raise ``TypeError`` for a queryset of instances, or one whose rows cannot be nested."""
    if issubclass(queryset._iterable_class, ModelIterable):
        raise TypeError(
            f"An instance of {queryset.model.__name__} has no JSON. Select what is to be written "
            "of it by values() or values_list()."
        )
    if not isinstance(nested, bool | Mapping):
        raise TypeError(
            "nested is True, or has a queryset for each name of a relation, and is no "
            f"{type(nested).__name__}."
        )
    if nested and not issubclass(queryset._iterable_class, ValuesIterable):
        raise TypeError("Only what values() selects has names by which it can be nested.")


def are_to_be_fetched(queryset: Any) -> bool:
    """Return whether a queryset has no results, and Django does nothing to its rows."""
    return queryset._result_cache is None and not queryset._prefetch_related_lookups


class ReceivedRows:
    """The rows of a cached statement's result, which the driver's ``context`` has received."""

    def __init__(self, statement: CompiledStatement, pgresult: Any, context: Any) -> None:
        self.number: int = pgresult.ntuples
        self.using = statement.using
        self._pgresult = pgresult
        self._context = context
        try:
            self._plan: Plan = fetching.plan_for(statement, context, pgresult)
        except psycopg.Error:
            with process_connection(statement.using).wrap_database_errors:
                raise

    @property
    def is_quick(self) -> bool:
        """Whether they are few, and no code but the native core's reads them."""
        return self._plan.is_native and self.number <= fetching.SLICE

    @property
    def names(self) -> Sequence[str]:
        """The names that their values have."""
        return self._plan.names or ()

    def array(self, members: Members | None = None) -> bytes:
        """Return all of them as an array. With ``members``, they are objects of these."""
        parts = self._by_slices(partial(self.slice, members=members))
        return b"".join(parts)

    def slice(self, start: int, stop: int, members: Members | None = None) -> bytes:
        """Return some of them: joined, slices are the array."""
        json: bytes = self._read(self._plan.json, start, stop, _encode, members)
        return json

    def values(self, name: str) -> list[Any]:
        """Return the values that they have for a name."""
        plan = self._plan.flat_by(name)
        parts = self._by_slices(lambda start, stop: self._read(plan.hydrate_result, start, stop))
        return [value for part in parts for value in part]

    def by_key(self, name: str, members: Members, many: bool) -> dict[Any, str]:
        """Return them by the value that they have for a name: objects with commas between.

        Unless there may be many for a value, it is the first that has it.
        """
        write = self._plan.json_by_key
        found: dict[Any, list[str]] = {}
        for part in self._by_slices(
            lambda start, stop: self._read(write, start, stop, _encode, members, name, many)
        ):
            for key, text in part.items():
                found.setdefault(key, []).append(text)
        return _joined(found, many)

    def _by_slices[Part](self, read: Callable[[int, int], Part]) -> list[Part]:
        checkpoints = bridge.Checkpoints()
        parts = []
        with process_connection(self.using).wrap_database_errors:
            for start in range(0, self.number or 1, fetching.SLICE):
                checkpoints.maybe_yield()
                parts.append(read(start, min(start + fetching.SLICE, self.number)))
        return parts

    def _read(self, read: Callable[..., Any], start: int, stop: int, *args: Any) -> Any:
        adapt_context.current = self._context
        try:
            return read(self._pgresult, start, stop, *args)
        finally:
            adapt_context.current = None


class ArrivingArray(ArrivingRows):
    """Rows that arrive in chunks, as a JSON array. If they are nested, by what is selected."""

    def __init__(self, queryset: Any, statement: CompiledStatement, nested: bool) -> None:
        self._nested = nested
        super().__init__(queryset, statement)

    def clear(self) -> None:
        super().clear()
        self._parts: list[bytes] = []

    def begin(self, context: Any, pgresult: Any) -> bool:
        self._context = context
        rows = ReceivedRows(self.statement, pgresult, context)
        self._members = members_of(self.queryset.model, rows.names) if self._nested else None
        return rows.is_quick

    def read(self, pgresult: Any) -> None:
        rows = ReceivedRows(self.statement, pgresult, self._context)
        self._parts.append(rows.slice(0, rows.number, self._members))

    def array(self) -> bytes:
        """Return all of them. Runs on the bridge, unless only the native core reads them."""
        self.finish()
        kept = [ReceivedRows(self.statement, each, self._context) for each in self.kept]
        parts = self._parts or [rows.array(self._members) for rows in kept]
        # Each is an array.
        return b"[%b]" % b", ".join([part[1:-1] for part in parts])


class MadeRows:
    """Rows that Django has made dicts of, or for an array without ``members`` anything else."""

    def __init__(self, objects: Sequence[Any], using: str = "") -> None:
        self.number = len(objects)
        self.using = using
        self._objects = objects

    @property
    def names(self) -> Sequence[str]:
        """The names that their values have; none if there are no rows."""
        return [*self._objects[0]] if self._objects else ()

    def array(self, members: Members | None = None) -> bytes:
        """Return all of them as an array. With ``members``, they are objects of these."""
        checkpoints = bridge.Checkpoints()
        parts = []
        for some in batched(self._objects, fetching.SLICE):
            checkpoints.maybe_yield()
            if members is None:
                parts.append(_encode(some).removeprefix("[").removesuffix("]"))
            else:
                parts += [write(row, members, _encode) for row in some]
        return f"[{', '.join(parts)}]".encode()

    def values(self, name: str) -> list[Any]:
        """Return the values that they have for a name."""
        return [row[name] for row in self._objects]

    def by_key(self, name: str, members: Members, many: bool) -> dict[Any, str]:
        """Return them by the value that they have for a name: objects with commas between.

        Unless there may be many for a value, it is the first that has it.
        """
        checkpoints = bridge.Checkpoints()
        found: dict[Any, list[str]] = {}
        for some in batched(self._objects, fetching.SLICE):
            checkpoints.maybe_yield()
            for row in some:
                found.setdefault(row[name], []).append(write(row, members, _encode))
        return _joined(found, many)


def _joined(found: dict[Any, list[str]], many: bool) -> dict[Any, str]:
    return {key: ", ".join(texts) if many else texts[0] for key, texts in found.items()}
