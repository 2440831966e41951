"""The rows of a many-to-many relation, inserted by cached statements.

Django inserts them by ``bulk_create(ignore_conflicts=True)``: one row by its values, several by an
array for each column. What it executes is recorded once for each of the two.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from functools import partial
from typing import Any

from turbo_orm import bridge
from turbo_orm.execution import direct
from turbo_orm.query_cache import verification
from turbo_orm.query_cache.bound import BoundStatement
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.cache_entry import CacheEntry, Refusal
from turbo_orm.query_cache.compiled import CompiledStatement, PlainBinder
from turbo_orm.query_cache.parameters import field_binder
from turbo_orm.query_cache.recording_connection import RecordingConnection
from turbo_orm.query_cache.save_statements import save_statements
from turbo_orm.query_cache.tracing import equal

# More rows are as fast by Django.
_MOST = 1_000
_LARGEST = 2**63 - 1


async def insert(manager: Any, db: str, source: str, target: str, keys: set[Any]) -> None:
    """Insert the rows from a manager's instance to these keys, unless they are there.

    ``source`` and ``target`` are the names of the fields that refer to them.
    """
    bound = await insertion(manager, db, source, target, keys)
    if bound is None:
        await bridge.run(_by_django, manager.through, db, (source, target), _rows(manager, keys))
    else:
        await direct.execute(db, bound)


async def insertion(
    manager: Any, db: str, source: str, target: str, keys: set[Any]
) -> BoundStatement | None:
    """Return the statement that does what ``insert()`` does, ``None`` if Django has to."""
    through, rows = manager.through, _rows(manager, keys)
    # Its instances are made by no code of a project's own.
    if (
        save_statements(through, {}) is not None
        and len(rows) <= _MOST
        and _are_integers(manager.related_val[0], keys)
    ):
        return await _bind(through, db, (source, target), rows)
    return None


def _rows(manager: Any, keys: set[Any]) -> list[tuple[Any, Any]]:
    (own,) = manager.related_val
    return [(own, key) for key in keys]


def _are_integers(own: Any, keys: set[Any]) -> bool:
    """Return whether keys are integers that an array of the server's can hold."""
    return (type(own) is int and {*map(type, keys)} == {int} and min(keys) >= -_LARGEST) and max(
        own, *keys
    ) <= _LARGEST


def _by_django(through: Any, db: str, names: tuple[str, str], rows: Sequence[Any]) -> None:
    get_field = through._meta.get_field
    attnames = [get_field(name).attname for name in names]
    through._default_manager.using(db).bulk_create(
        [through(**dict(zip(attnames, row, strict=True))) for row in rows],
        ignore_conflicts=True,
    )


async def _bind(
    through: Any, db: str, names: tuple[str, str], rows: Sequence[tuple[Any, Any]]
) -> BoundStatement | None:
    """Return the statement for rows, or ``None`` if Django has to insert them."""
    entry = cache.model(through)
    key = ("insert links", names, db, len(rows) > 1)
    statement = entry.statements.get(key)
    if statement is None:
        if key in entry.refusals or not cache.is_seen(entry, key):
            return None
        await bridge.run(_trace, entry, key, through, db, names, rows)
        statement = entry.statements.get(key)
        if statement is None:
            return None
    bound = statement.bind(_values(through, names, rows))
    if verification.interval and not verification.agrees(
        through._meta.label,
        partial(_compare, bound, through, db, names, rows),
        lambda: cache.drop(entry, key),
    ):
        return None
    entry.uses += 1
    return bound


def _values(through: Any, names: tuple[str, str], rows: Sequence[Any]) -> list[Any]:
    """Return the values of the columns in their order: those of a row, or arrays of all rows."""
    columns: list[Any] = [*zip(*rows, strict=True)]
    if _fields(through)[0].name != names[0]:
        columns.reverse()
    if len(rows) == 1:
        return [value for (value,) in columns]
    return [_array(column) for column in columns]


def _array(values: Iterable[int]) -> str:
    return f"{{{','.join(map(str, values))}}}"


def _fields(through: Any) -> list[Any]:
    """Return the fields that are inserted: all but the key, which the server makes."""
    meta = through._meta
    return [field for field in meta.local_concrete_fields if field is not meta.auto_field]


def _record(through: Any, db: str, names: tuple[str, str], rows: Sequence[Any]) -> Any:
    """Return what Django executes for rows."""
    recorder = RecordingConnection.for_alias(db)
    bridge.with_stand_in(db, recorder, _by_django, through, db, names, rows)
    return recorder.recorded


def _trace(
    entry: CacheEntry,
    key: Hashable,
    through: Any,
    db: str,
    names: tuple[str, str],
    rows: Sequence[Any],
) -> None:
    """Cache how Django inserts rows, or why it has to. Runs on the bridge."""
    fields = _fields(through)
    cleared = cache.cleared
    recorded = _record(through, db, names, rows)
    if len(recorded) != 1 or {field.name for field in fields} != {*names}:
        cache.refuse(entry, key, Refusal("Django executes other statements than one for all rows"))
        return
    ((sql, _),) = recorded
    binders: list[Any] = [PlainBinder(0), PlainBinder(1)]
    if len(rows) == 1:
        binders = [field_binder(slot, field, db) for slot, field in enumerate(fields)]
    try:
        statement = CompiledStatement(db, sql, binders, [(0, 0), (1, 0)])
        bound = statement.bind(_values(through, names, rows))
        verification.compare(bound, recorded, _is_same)
    except (ValueError, verification.CacheMismatch):
        cache.refuse(entry, key, Refusal("a row is not inserted by the values of its columns"))
        return
    cache.store(entry, key, statement, cleared)


def _compare(
    bound: BoundStatement, through: Any, db: str, names: tuple[str, str], rows: Sequence[Any]
) -> None:
    """Raise ``CacheMismatch`` unless Django would insert rows by this statement."""
    recorded = _record(through, db, names, rows)
    verification.compare(bound, recorded, _is_same)


def _is_same(ours: Any, djangos: Any) -> bool:
    # It sends a list, which the driver writes so.
    return ours == _array(djangos) if isinstance(djangos, list) else equal(ours, djangos)
