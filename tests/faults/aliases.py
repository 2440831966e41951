"""Databases that Django knows for the length of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connections

from turbo_orm.backend.handler import process_connection


@contextmanager
def known_as(alias: str, entry: dict[str, Any]) -> Iterator[str]:
    """Have a database under an alias. What is left of it at the end is forgotten."""
    settings.DATABASES[alias] = entry
    # Both handlers, Django's and the one of the event loop, look into this one dictionary.
    connections.configure_settings(settings.DATABASES)
    try:
        yield alias
    finally:
        if hasattr(connections._connections, alias):
            connections[alias].close()
            del connections[alias]
        del settings.DATABASES[alias]
        # It remembers what the settings said.
        process_connection.cache_clear()


# What ``far()`` makes known: a database without a pool, and with one.
FAR = ["far", "far_pooled"]


@contextmanager
def far(entry: dict[str, Any], **pool: Any) -> Iterator[None]:
    """Have a database under the aliases of ``FAR``."""
    options = {"min_size": 1, "max_size": 3, "timeout": 5, **pool}
    pooled = {**entry, "OPTIONS": {**entry.get("OPTIONS", {}), "pool": options}}
    with known_as("far", entry), known_as("far_pooled", pooled):
        yield
