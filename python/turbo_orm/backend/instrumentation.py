"""Tools that put methods of their own in the place of a cursor's, or of a connection's.

Sentry traces statements so. Where a tool does, each statement takes the cursor path, and its
result arrives in one piece, as Django's does: the tool sees what is sent. It is noticed whenever
it is done, and undone. Bytecode that a tool injects into a function modifies no class: it is
noticed if it is there when the first statement is executed, or when a class is modified next.
"""

from __future__ import annotations

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.utils import CursorDebugWrapper, CursorWrapper
from django.db.utils import ConnectionHandler

from turbo_orm.bridge.replaced_methods import modifications, replaced

_OF_DJANGO = (BaseDatabaseWrapper, CursorDebugWrapper, CursorWrapper, DatabaseWrapper)
_OF_PSYCOPG = (psycopg.AsyncClientCursor, psycopg.AsyncConnection, psycopg.AsyncCursor)
_CALLED = ("commit", "connect", "cursor", "execute", "executemany", "stream")

#: What ``replaced_method()`` returned last, ``None`` if a class was modified since.
found: str | None = None


def replaced_method() -> str:
    """Return which method is another package's, or an empty string."""
    global found
    if found is not None:
        return found
    count = modifications.count
    method = (
        replaced(*_OF_DJANGO)
        or replaced(ConnectionHandler, names=["__getitem__"])
        or replaced(*_OF_PSYCOPG, names=_CALLED, packages=("psycopg", "turbo_orm."))
    )
    # Another thread may have modified one meanwhile.
    if count == modifications.count:
        found = method
    return method


def _forget() -> None:
    global found
    found = None


modifications.listen(_forget)
