"""Makes it an error to use a sync cursor while an async operation runs.

What runs an operation is known by a context variable: asgiref takes it along where it hops to a
thread, while a thread that a test has started has none of it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

import psycopg

from turbo_orm import bridge
from turbo_orm.backend.base import BridgedDatabaseWrapper

_operations: ContextVar[int] = ContextVar("operations", default=0)

#: The tests that have used one: some catch whatever is raised.
culprits: list[str] = []
#: Cursors that were opened on async connections.
async_cursors = 0


@contextmanager
def operation() -> Iterator[None]:
    """Mark what runs in the block as an async operation."""
    depth = _operations.get()
    _operations.set(depth + 1)
    try:
        yield
    finally:
        _operations.set(depth)


def install(current_test: Callable[[], str]) -> None:
    """Watch psycopg's sync connections, and take whatever runs on the bridge for an operation."""
    run, cursor = bridge.run, psycopg.Connection.cursor

    @wraps(run)
    async def watched_run(function: Any, /, *args: Any, **kwargs: Any) -> Any:
        with operation():
            return await run(function, *args, **kwargs)

    @wraps(cursor)
    def watched_cursor(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _operations.get():
            culprits.append(current_test())
            raise AssertionError("A sync cursor was opened while an async operation runs.")
        return cursor(self, *args, **kwargs)

    create_cursor = BridgedDatabaseWrapper.create_cursor

    @wraps(create_cursor)
    def counted_cursor(self: Any, name: str | None = None) -> Any:
        global async_cursors
        async_cursors += 1
        return create_cursor(self, name)

    BridgedDatabaseWrapper.create_cursor = counted_cursor
    bridge.run = watched_run
    psycopg.Connection.cursor = watched_cursor
