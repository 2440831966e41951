"""Where a queryset becomes SQL and parameters: Django's compiler, asked for in one place."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet


def compiler_for(queryset: QuerySet[Any, Any], using: str | None = None) -> Any:
    """Return Django's compiler for a queryset, on the database that the routers name.

    They are asked once: here, or by who names the alias. On the bridge, the compiler's connection
    is the bridged one.
    """
    return queryset.query.get_compiler(using=using or queryset.db)
