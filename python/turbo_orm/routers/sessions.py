"""Sessions: series of reads and writes of which each read sees the writes before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS

from turbo_orm.backend import writes
from turbo_orm.backend.writes import Session


@contextmanager
def causal_session() -> Iterator[Session]:
    """Let reads in the block see the block's writes, independently of other code.

    Use it in jobs, consumers and commands, in sync and in async code. Tasks that are started
    inside belong to the session, and so do threads of ``sync_to_async()``. Code that is in no such
    block, and in no request with ``ReadYourWritesMiddleware``, shares one session with all such
    code of the process.
    """
    session = Session()
    token = writes.session.set(session)
    try:
        yield session
    finally:
        writes.session.reset(token)


def note_write(using: str | None = None) -> None:
    """Let the session read from the primary until a replica has what was written by now.

    Use it for writes that the SQL doesn't show: a function called in a ``SELECT``, ``COPY`` with a
    sync cursor, or another program that the code has waited for.
    """
    alias = using or DEFAULT_DB_ALIAS
    if alias in writes.watched:
        writes.note(alias)
