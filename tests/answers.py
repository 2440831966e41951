"""Django's answer and turbo-orm's to the same question, in a form that can be compared.

Django's is what its sync ORM gives on a sync connection with hydration by its own iterables.
"""

import math
from collections.abc import Callable
from contextlib import contextmanager
from datetime import datetime, time
from decimal import Decimal
from typing import Any
from unittest import mock

from django.db import connections
from django.db.models import Model, QuerySet
from django.test.utils import CaptureQueriesContext


@contextmanager
def django_hydrates():
    """Have Django's own iterables make the objects, as if the native core were not there."""
    with mock.patch("turbo_orm.queryset.hydrates", return_value=False):
        yield


def django_answer(function: Callable[[], Any]) -> dict[str, Any]:
    """Return what a sync function returns or raises, and its statements."""
    with django_hydrates(), CaptureQueriesContext(connections["default"]) as captured:
        outcome = _outcome(function)
    return {**outcome, "statements": _statements(captured.captured_queries)}


async def turbo_answer(function: Callable[[], Any]) -> dict[str, Any]:
    """Return what an async function returns or raises, and its statements."""
    from django_async_backend.db import async_connections

    connection = async_connections["default"]
    await connection.ensure_connection()
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
        statement.split('"')[0] if "SAVEPOINT" in statement else statement
        for statement in statements
        if "_django_curs_" not in statement
    ]


def fingerprint(value: Any, seen: frozenset[int] = frozenset()) -> Any:
    """Return a value in a form that is equal for equal values of equal types, however deep."""
    if id(value) in seen:
        return ("seen", type(value))
    inside = seen | {id(value)}
    if isinstance(value, Model):
        return (type(value), _attributes(value.__dict__, inside))
    if isinstance(value, QuerySet):
        return (type(value), fingerprint(value._result_cache, inside))
    if isinstance(value, dict):
        return (type(value), _attributes(value, inside))
    if isinstance(value, list | tuple):
        names = getattr(value, "_fields", None)
        return (_kind(type(value)), names, [fingerprint(item, inside) for item in value])
    if isinstance(value, set | frozenset):
        return (type(value), {fingerprint(item, inside) for item in value})
    if type(value).__name__ == "ModelState":
        state = dict(value.__dict__)
        # Django makes this dict when it is first looked at, which storing a foreign key does.
        cache = state.pop("fields_cache", {})
        peers = [type(peer()) for peer in state.pop("peers", ())]
        return ("state", _attributes(state, inside), fingerprint(cache, inside), peers)
    if isinstance(value, float) and math.isnan(value):
        return (float, "nan")
    if isinstance(value, float):
        return (float, value, math.copysign(1, value))
    if isinstance(value, Decimal):
        return (Decimal, value.as_tuple())
    if isinstance(value, datetime | time):
        return (type(value), value, value.tzinfo, value.fold)
    return (type(value), value)


def _attributes(attributes: dict[Any, Any], seen: frozenset[int]) -> list[tuple[Any, Any]]:
    """Return the items, in their order."""
    return [(name, fingerprint(item, seen)) for name, item in attributes.items()]


def _kind(kind: type) -> Any:
    # Django makes a class of named tuples for each set of names.
    return "named tuple" if issubclass(kind, tuple) and kind is not tuple else kind
