"""Where a queryset becomes SQL and parameters: Django's compiler, asked for in one place."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet


def compiler_for(queryset: QuerySet[Any, Any]) -> Any:
    """Return Django's compiler for a queryset, on the database that the routers name.

    The routers are asked once. On the bridge, the compiler's connection is the bridged one.
    """
    return queryset.query.get_compiler(using=queryset.db)
