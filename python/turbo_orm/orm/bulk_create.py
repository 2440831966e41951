"""``abulk_create()``: Django's ``bulk_create()``, which asks for the database for each instance.

Where no router may answer otherwise the next time, it is asked for once.
"""

from __future__ import annotations

from typing import Any

from django.db import router

from turbo_orm.query_cache.overrides import has_djangos


def bulk_create(queryset: Any, *args: Any, **options: Any) -> list[Any]:
    """Do what the queryset's method does. Runs on the bridge."""
    is_asked_once = (
        queryset._db is None and not router.routers and has_djangos(type(queryset), "bulk_create")
    )
    if is_asked_once:
        queryset._db = router.db_for_write(queryset.model, **queryset._hints)
    try:
        created: list[Any] = queryset.bulk_create(*args, **options)
    finally:
        if is_asked_once:
            queryset._db = None
    return created
