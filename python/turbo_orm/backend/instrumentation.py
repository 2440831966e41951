"""Tools that put methods of their own in the place of a cursor's, or of a connection's.

Sentry, OpenTelemetry and the like trace statements so. Where one does, each statement takes the
cursor path, and its result arrives in one piece, as Django's does: they see what is sent. It is
noticed whenever it is done, and undone.
"""

from __future__ import annotations

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.utils import CursorDebugWrapper, CursorWrapper

from turbo_orm.bridge.replaced_methods import modifications, replaced

_OF_DJANGO = (BaseDatabaseWrapper, CursorDebugWrapper, CursorWrapper, DatabaseWrapper)
_OF_PSYCOPG = (psycopg.AsyncClientCursor, psycopg.AsyncConnection, psycopg.AsyncCursor)
_CALLED = ("connect", "cursor", "execute", "executemany", "stream")

_found: str | None = None


def replaced_method() -> str:
    """Return which method is another package's, or an empty string."""
    global _found
    if _found is None:
        _found = replaced(*_OF_DJANGO) or replaced(
            *_OF_PSYCOPG, names=_CALLED, packages=("psycopg", "turbo_orm.")
        )
    return _found


def _forget() -> None:
    global _found
    _found = None


modifications.listen(_forget)
