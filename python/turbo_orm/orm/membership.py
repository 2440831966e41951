"""``acontains()``: whether an object is in a queryset, by its key."""

from __future__ import annotations

from typing import Any

from turbo_orm.query_cache.overrides import has_djangos


def filtered(queryset: Any, obj: Any) -> Any | None:
    """Return the queryset of that object alone, ``None`` where Django has to look at it."""
    meta = getattr(obj, "_meta", None)
    if (
        queryset._cached is None
        or queryset._fields is not None
        or queryset._result_cache is not None
        or queryset._is_sliced
        or queryset._is_combined
        or getattr(meta, "concrete_model", None) is not queryset.model._meta.concrete_model
        or not obj._is_pk_set()
        or not has_djangos(type(queryset), "contains")
    ):
        return None
    return queryset.filter(pk=obj.pk)
