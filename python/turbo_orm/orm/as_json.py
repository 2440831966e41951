"""``ajson()`` of a queryset: its rows are written as they are received."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turbo_orm import bridge
from turbo_orm.execution import direct, json_rows
from turbo_orm.execution.json_members import members_of
from turbo_orm.execution.json_rows import ArrivingArray, MadeRows, ReceivedRows
from turbo_orm.orm import fallback
from turbo_orm.orm.cached_queryset import CachedQuerySet
from turbo_orm.orm.executor import execute_on_bridge, executor
from turbo_orm.query_cache.lookup import lookup, take_back
from turbo_orm.query_cache.outcome import Hit

type Rows = ReceivedRows | MadeRows


async def ajson(queryset: Any, nested: bool, found: Any = None) -> bytes:
    """Return the results as a JSON array: those that the queryset has, or rows that none keeps.

    ``found`` is the outcome of looking its statement up, if that was done.
    """
    json_rows.refuse_instances(queryset, nested)
    found = found or look_up(queryset)
    if not isinstance(found, Hit):
        return await bridge.run(lambda: array(queryset, fetch(queryset, found), nested))
    arriving = ArrivingArray.of(queryset, found, nested)
    received = await direct.execute(found.statement.using, found, arriving)
    if arriving is not None and arriving.rows:
        return arriving.array() if arriving.is_native else await bridge.run(arriving.array)
    rows = _received(found, received)
    if rows.is_quick:
        return array(queryset, rows, nested)
    return await bridge.run(array, queryset, rows, nested)


def array(queryset: Any, rows: Rows, nested: bool) -> bytes:
    """Return rows of a queryset as a JSON array, nested by relations or as they are."""
    return rows.array(members_of(queryset.model, rows.names) if nested else None)


def fetch(queryset: Any, found: Any = None, rows: Any = None) -> Rows:
    """Return the rows of a queryset, which does not keep them. It is sync code.

    ``found`` is the outcome of looking its statement up, and ``rows`` what has been received.
    """
    execute = executor()
    found = found or (look_up(queryset) if execute is not None else None)
    if isinstance(found, Hit):
        assert execute is not None
        rows = rows or execute(found.statement.using, found)
        if rows is not None:
            return _received(found, rows)
        found = take_back(found)
    if queryset._result_cache is None:
        queryset = queryset._chain()
        if found is not None and found.using is not None:
            fallback.fetch(queryset, found)
    return MadeRows(list(queryset), queryset.db)


def _received(found: Hit, rows: tuple[Any, Any]) -> ReceivedRows:
    received = ReceivedRows(found.statement, *rows)
    found.statement.rows = received.number
    return received


def fetch_together(querysets: Sequence[Any]) -> list[Rows]:
    """Return the rows of several querysets. On the bridge, they are asked for by one message."""
    is_on_bridge = executor() is execute_on_bridge
    found = [look_up(queryset) if is_on_bridge else None for queryset in querysets]
    hits = [each for each in found if isinstance(each, Hit)]
    using = {each.statement.using for each in hits}
    results: Sequence[Any] | None = None
    if len(hits) > 1 and len(using) == 1:
        results = bridge.await_(direct.execute_together(using.pop(), hits))
    received = dict(zip(map(id, hits), results or (), strict=False))
    return [
        fetch(queryset, each, received.get(id(each)))
        for queryset, each in zip(querysets, found, strict=True)
    ]


def look_up(queryset: Any) -> Any:
    """Return the outcome of looking the statement up, ``None`` where there is none to be."""
    if not (isinstance(queryset, CachedQuerySet) and json_rows.are_to_be_fetched(queryset)):
        return None
    return lookup(queryset, "_fetch_all", queryset._cached)
