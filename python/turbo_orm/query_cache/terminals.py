"""Django's own terminals, which statements are traced from and verified against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from turbo_orm.hydration.row_layout import Layout
from turbo_orm.query_cache.replacement import map_values

#: By name, whatever a class has in their place. ``_fetch_all`` is that of the queryset's class.
DJANGOS_TERMINALS: dict[str, Callable[..., Any]] = {
    name: vars(QuerySet)[name] for name in ("count", "delete", "exists", "first", "get", "last")
}
DJANGOS_TERMINALS["_fetch_all"] = lambda queryset: queryset._fetch_all()

aggregate: Callable[..., Any] = vars(QuerySet)["aggregate"]
update: Callable[..., Any] = vars(QuerySet)["update"]


def aggregate_with(
    args: Sequence[Any], kwargs: dict[str, Any], queryset: Any, *values: Any
) -> Any:
    """Call ``aggregate()`` with other values in place of those that are no part of its key.

    The connection records, and has the layout of the row then.
    """
    replaced = iter(values)
    args, kwargs = map_values("aggregate", args, kwargs, lambda _: next(replaced))
    answer = aggregate(queryset, *args, **kwargs)
    recorder: Any = connections[queryset._db]
    recorder.layout = recorder.selecting and Layout.of_aggregates(recorder.selecting)
    return answer


def update_with(kwargs: dict[str, Any], queryset: Any, *values: Any) -> Any:
    """Call ``update()`` with other values in place of those that are no part of the cache key."""
    replaced = iter(values)
    _, renewed = map_values("update", (), kwargs, lambda _: next(replaced))
    return update(queryset, **renewed)
