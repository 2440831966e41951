"""Django's own terminals, which statements are traced from and verified against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet

from turbo_orm.query_cache.cache_key import map_values

#: By name, whatever a class has in their place. ``_fetch_all`` is that of the queryset's class.
DJANGOS_TERMINALS: dict[str, Callable[..., Any]] = {
    name: vars(QuerySet)[name] for name in ("count", "delete", "exists", "first", "get", "last")
}
DJANGOS_TERMINALS["_fetch_all"] = lambda queryset: queryset._fetch_all()

update: Callable[..., Any] = vars(QuerySet)["update"]


def update_with(kwargs: dict[str, Any], queryset: Any, *values: Any) -> Any:
    """Call ``update()`` with other values in place of those that are no part of the cache key."""
    replaced = iter(values)
    _, renewed = map_values("update", (), kwargs, lambda _: next(replaced))
    return update(queryset, **renewed)
