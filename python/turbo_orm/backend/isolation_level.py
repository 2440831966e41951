"""The isolation level of a database's settings, which a task's connection sets for its session."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.postgresql.psycopg_any import IsolationLevel


def isolation_level(settings_dict: dict[str, Any]) -> tuple[IsolationLevel, bool]:
    """Return ``OPTIONS["isolation_level"]``, or PostgreSQL's default, and whether it is given.

    Raises ``ImproperlyConfigured`` if it is none of psycopg's levels.
    """
    try:
        level = settings_dict["OPTIONS"]["isolation_level"]
    except KeyError:
        return IsolationLevel.READ_COMMITTED, False
    try:
        return IsolationLevel(level), True
    except ValueError:
        raise ImproperlyConfigured(
            f"Invalid transaction isolation level {level} specified. Use one of the "
            f"psycopg.IsolationLevel values."
        ) from None
