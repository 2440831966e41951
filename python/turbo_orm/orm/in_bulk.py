"""``ain_bulk()`` by a cached statement: the objects of a filter by keys."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models.query import ModelIterable

from turbo_orm.backend.handler import process_connection
from turbo_orm.query_cache.overrides import has_djangos


def filtered(queryset: Any, id_list: Iterable[Any] | None, field_name: str) -> Any:
    """Return the queryset whose objects ``in_bulk()`` returns.

    ``None`` where there is more to it, or Django refuses it.
    """
    if (
        queryset._cached is None
        or not has_djangos(type(queryset), "in_bulk")
        or queryset._iterable_class is not ModelIterable
        or queryset._is_sliced
        or queryset._is_combined
        or not _is_unique(queryset.model._meta, field_name)
    ):
        return None
    if id_list is None:
        return queryset._chain()
    if not id_list or not isinstance(id_list, Sized):
        # What can be read only once is read by Django.
        return None
    keys = tuple(id_list)
    connection = process_connection(queryset.db)
    is_batched = connection.ops.bulk_batch_size([queryset.model._meta.pk], keys) < len(keys)
    if is_batched or connection.features.max_query_params is not None:
        # Django asks for so many at a time.
        return None
    return queryset.filter(**{f"{field_name}__in": keys})


def _is_unique(meta: Any, field_name: str) -> bool:
    try:
        return field_name == "pk" or meta.get_field(field_name).unique
    except FieldDoesNotExist:
        return False


def by_key(objects: Iterable[Any], field_name: str) -> dict[Any, Any]:
    """Return objects by the value of a field. Runs on the bridge: it may be deferred."""
    return {getattr(each, field_name): each for each in objects}
