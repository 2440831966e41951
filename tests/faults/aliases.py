"""Databases that Django knows for the length of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connections


@contextmanager
def known_as(alias: str, entry: dict[str, Any]) -> Iterator[str]:
    """Have a database under an alias, to be used by the event loop alone."""
    settings.DATABASES[alias] = entry
    # Both handlers, Django's and the one of the event loop, look into this one dictionary.
    connections.configure_settings(settings.DATABASES)
    try:
        yield alias
    finally:
        del settings.DATABASES[alias]
