"""Django's answer and turbo-orm's to the same question, in a form that can be compared.

Django's is what its sync ORM gives on a sync connection with hydration by its own iterables.
"""

import math
import re
from collections.abc import Callable
from contextlib import contextmanager
from datetime import datetime, time
from decimal import Decimal
from typing import Any
from unittest import mock

from django.db import connections
from django.db.models import Model, QuerySet
from django.db.models.query import RawQuerySet
from django.test.utils import CaptureQueriesContext
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from turbo_orm import bridge
from turbo_orm.query_cache.cache import cache


@contextmanager
def django_hydrates():
    """Have Django's own iterables make the objects, as if the native core were not there.

    Querysets that begin here have a query, as Django's have, and no chain.
    """
    with (
        mock.patch.multiple(cache, is_enabled=False, _is_suspended=False),
        mock.patch("turbo_orm.backend.primary_keys.partition", return_value=None),
        mock.patch("turbo_orm.execution.evaluation.hydrates", return_value=False),
        mock.patch("turbo_orm.orm.raw.AsyncRawQuerySet.iterator", RawQuerySet.iterator),
    ):
        yield


def django_answer(function: Callable[[], Any]) -> dict[str, Any]:
    """Return what a sync function returns or raises by Django's iterables, and its statements."""
    with django_hydrates():
        return sync_answer(function)


def sync_answer(function: Callable[[], Any]) -> dict[str, Any]:
    """Return what a sync function returns or raises, and its statements."""
    # Django logs so many and no more.
    connections["default"].queries_log.clear()
    with CaptureQueriesContext(connections["default"]) as captured:
        outcome = _outcome(function)
    return {**outcome, "statements": _statements(captured.captured_queries)}


async def turbo_answer(function: Callable[[], Any]) -> dict[str, Any]:
    """Return what an async function returns or raises, and its statements."""
    from django_async_backend.db import async_connections

    # What it takes to connect is no part of the answer.
    await bridge.run(lambda: connections["default"].ensure_connection())
    connection = async_connections["default"]
    connection.force_debug_cursor = True
    before = len(connection.queries_log)
    try:
        outcome = {"returned": fingerprint(await function())}
    except Exception as exc:
        outcome = {"raised": (type(exc), str(exc))}
    finally:
        connection.force_debug_cursor = False
    return {**outcome, "statements": _statements(list(connection.queries_log)[before:])}


def _outcome(function: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"returned": fingerprint(function())}
    except Exception as exc:
        return {"raised": (type(exc), str(exc))}


def _statements(queries: list[dict[str, str]]) -> list[str]:
    # Django logs None for what it has refused to execute.
    statements = [query["sql"] or "nothing" for query in queries]
    # Names of savepoints and of cursors on the server hold a thread's or a task's number.
    return [
        statement.split('"')[0] if "SAVEPOINT" in statement else in_bulk(statement)
        for statement in statements
        if "_django_curs_" not in statement
    ]


def in_bulk(statement: str) -> str:
    """Return a statement without that in which turbo-orm's bulk methods differ from Django's.

    An array of an insert is not said to be one twice, and an update has its values in arrays.
    """
    if statement.startswith("INSERT"):
        return re.sub(r"'::[\w ]+\[\]\)::", "')::", statement)
    if statement.startswith("QUERY = 'INSERT"):
        # One that the driver has refused, with its parameters.
        return statement.partition(" - PARAMS")[0]
    if re.match(r"UPDATE .* SET .*(\(CASE WHEN .* END\)::| FROM UNNEST\()", statement, re.DOTALL):
        return f"{statement.partition(' SET ')[0]} in bulk"
    return statement


def fingerprint(value: Any, seen: dict[int, int] | None = None) -> Any:
    """Return a value in a form that is equal for equal values of equal types, however deep.

    Where one model instance stands in several places, it has to do so in what is equal, too.
    """
    seen = {} if seen is None else seen
    if isinstance(value, Model):
        if id(value) in seen:
            return ("seen", type(value), seen[id(value)])
        seen[id(value)] = len(seen)
        return (type(value), _items(value.__dict__, seen))
    if isinstance(value, QuerySet):
        return (type(value), fingerprint(value._result_cache, seen))
    if isinstance(value, dict):
        return (type(value), _items(value, seen))
    if isinstance(value, list | tuple):
        names = getattr(value, "_fields", None)
        return (_kind(type(value)), names, [fingerprint(item, seen) for item in value])
    if isinstance(value, Range):
        parts = (value.lower, value.upper, value.bounds)
        return (type(value), [fingerprint(part) for part in parts])
    if isinstance(value, Multirange):
        return (type(value), [fingerprint(part) for part in value])
    if isinstance(value, set | frozenset):
        return (type(value), {fingerprint(item, seen) for item in value})
    if type(value).__name__ == "ModelState":
        state = dict(value.__dict__)
        # Django makes this dict when it is first looked at, which storing a foreign key does.
        cache = state.pop("fields_cache", {})
        peers = [type(peer()) for peer in state.pop("peers", ())]
        return ("state", _items(state, seen), fingerprint(cache, seen), peers)
    if isinstance(value, float) and math.isnan(value):
        return (float, "nan")
    if isinstance(value, float):
        return (float, value, math.copysign(1, value))
    if isinstance(value, Decimal):
        return (Decimal, value.as_tuple())
    if isinstance(value, datetime | time):
        return (type(value), value, value.tzinfo, value.fold)
    return (type(value), value)


def _items(items: dict[Any, Any], seen: dict[int, int]) -> list[tuple[Any, Any]]:
    """Return the items, in their order."""
    return [(name, fingerprint(item, seen)) for name, item in items.items()]


def _kind(kind: type) -> Any:
    # Django makes a class of named tuples for each set of names.
    return "named tuple" if issubclass(kind, tuple) and kind is not tuple else kind
