"""What a connection of a pool has to be like: what it serves a statement by."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any, NamedTuple

from django.db import connections


class Terms(NamedTuple):
    """What a connection has to be like by Django's settings."""

    alias: str
    settings_dict: dict[str, Any]
    # The time zone that timestamps are loaded in, and the session's.
    timezone: tzinfo | None
    timezone_name: bytes


def entry(alias: str) -> dict[str, Any] | None:
    """Return what ``DATABASES`` says of an alias now: entries come and go in a process."""
    found: dict[str, Any] | None = connections.settings.get(alias)
    return found
