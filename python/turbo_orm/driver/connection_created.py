"""Who receives ``connection_created``, and need not be told of the same connection twice.

Django sends the signal whenever it gets a connection, be it one of a pool. A receiver may do with
it whatever a request wants. The one of ``django.contrib.postgres`` registers types with the
driver's connection, where they stay, until Django finds that they have others.
"""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.signals import (
    get_citext_oids,
    get_hstore_oids,
    register_type_handlers,
)
from django.core.exceptions import SynchronousOnlyOperation
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.signals import connection_created

_REGISTERS_TYPES = id(register_type_handlers)
_UNKNOWN = object()


def want_each_connection() -> bool:
    """Return whether there are receivers to be told whenever a connection is got."""
    return any(key[0] != _REGISTERS_TYPES for key, *_ in connection_created.receivers)


def types(alias: str) -> Any:
    """Return what is registered with a connection of which the receivers were told.

    As long as it is equal, they need not be told again; if it is ``None``, not at all.
    """
    registers = any(key[0] == _REGISTERS_TYPES for key, *_ in connection_created.receivers)
    if not registers or alias == NO_DB_ALIAS:
        return None
    try:
        return get_hstore_oids(alias), get_citext_oids(alias)
    except SynchronousOnlyOperation:
        # An extension was made, and nobody has asked for its types yet.
        return _UNKNOWN
