"""The receivers of ``connection_created``, and which of them need not be called again.

Django sends the signal whenever a wrapper gets a connection, also one of a pool. A receiver may do
anything with it, so it has to be called each time. That of ``django.contrib.postgres`` only
registers types with the driver connection, where they stay until their oids change.
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
    """Return whether there are receivers to be called whenever a connection is acquired."""
    return any(key[0] != _REGISTERS_TYPES for key, *_ in connection_created.receivers)


def types(alias: str) -> Any:
    """Return what the receivers register with a connection, to be compared with what they have.

    While it is equal they need not be called again; if it is ``None``, not at all.
    """
    registers = any(key[0] == _REGISTERS_TYPES for key, *_ in connection_created.receivers)
    if not registers or alias == NO_DB_ALIAS:
        return None
    try:
        return get_hstore_oids(alias), get_citext_oids(alias)
    except SynchronousOnlyOperation:
        # An extension was created, and its types are not cached yet.
        return _UNKNOWN
