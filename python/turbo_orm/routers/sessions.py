"""Sessions: series of reads and writes of which each read sees the writes before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS

from turbo_orm.backend import writes
from turbo_orm.backend.writes import Session


@contextmanager
def causal_session() -> Iterator[Session]:
    """Have the reads of a block see the block's writes, and not wait for those of other code.

    For a job, a consumer or a command, in sync and in async code. What is started inside belongs
    to it: tasks, and threads of ``sync_to_async()``. Code that is in none, and in no request with
    ``ReadYourWritesMiddleware``, shares one with all such code of the process.
    """
    session = Session()
    token = writes.session.set(session)
    try:
        yield session
    finally:
        writes.session.reset(token)


def note_write(using: str | None = None) -> None:
    """Have the session read from the primary until a replica has what was written by now.

    For writes that SQL does not show: a function that is selected, ``COPY`` by a sync cursor,
    another program that the code has waited for.
    """
    alias = using or DEFAULT_DB_ALIAS
    if alias in writes.watched:
        writes.note(alias)
