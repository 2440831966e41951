"""``aearliest()`` and ``alatest()``: the object at one end of a queryset, by some fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turbo_orm import bridge
from turbo_orm.query_cache.overrides import has_djangos


async def end_by(queryset: Any, name: str, fields: Sequence[Any]) -> Any:
    """Return what ``earliest()`` or ``latest()`` does."""
    order_by = fields or queryset.model._meta.get_latest_by or ()
    if not isinstance(order_by, list | tuple):
        order_by = (order_by,)
    if (
        not order_by
        or queryset._cached is None
        or queryset._is_sliced
        or queryset._is_combined
        or "get" not in queryset._cacheable_terminals
        or not has_djangos(type(queryset), name, "_earliest")
    ):
        return await bridge.run(getattr(queryset, name), *fields)
    ordered = queryset.reverse() if name == "latest" else queryset
    # Django calls get(), whose SQL is that of a list.
    objects = await ordered.order_by(*order_by)[:1].alist()
    if not objects:
        raise queryset._not_one(0)
    return objects[0]
