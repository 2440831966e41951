"""psycopg, with the statements and the transactions of Django's for an operation."""

from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from asgiref.sync import async_to_sync
from django.db import connections
from psycopg import AsyncServerCursor
from psycopg.client_cursor import ClientCursorMixin

from benches.contenders import drivers
from benches.small.composed import shelf
from benches.small.composed.operations import Composed
from benches.small.composed.orms import DjangoAsync

# What a call has executed: SQL with its parameters, or what became of a transaction.
type Executed = tuple[str, Any]

_BEGIN, _COMMIT = "begin", "commit"
# The statement that follows is that of a cursor on the server, of which one chunk is fetched.
_CHUNKED = "chunked"


def statements(operation: Composed, n: int, given: Any) -> list[Executed]:
    """Return what Django executes for the n-th call, in the thread of its sync code."""
    with _recorded() as executed:
        async_to_sync(_called)(operation, n, given)
    return executed


async def _called(operation: Composed, n: int, given: Any) -> Any:
    return await operation.call(DjangoAsync(), n, given)


@contextmanager
def _recorded() -> Iterator[list[Executed]]:
    executed: list[Executed] = []
    wrapper = connections["default"]

    def record(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        executed.append((sql, params))
        return execute(sql, params, many, context)

    def marking(name: str, mark: Callable[[Any], str | None]) -> Any:
        original = getattr(wrapper, name)

        def marked(*args: Any, **kwargs: Any) -> Any:
            if what := mark(args):
                executed.append((what, None))
            return original(*args, **kwargs)

        return patch.object(wrapper, name, marked)

    with (
        wrapper.execute_wrapper(record),
        marking("set_autocommit", lambda args: None if args[0] else _BEGIN),
        marking("commit", lambda args: _COMMIT),
        marking("chunked_cursor", lambda args: _CHUNKED),
    ):
        yield executed


class ServerCursor(ClientCursorMixin[Any], AsyncServerCursor[Any]):
    """A cursor on the server, whose statement has literals, as Django's has."""


class Psycopg(drivers.Psycopg):
    """psycopg as Django configures it, with one cursor for all statements."""

    async def open(self) -> None:
        await super().open()
        self.cursor = self.connection.cursor()

    async def replay(self, executed: list[Executed]) -> None:
        """Execute statements, and fetch all that they return."""
        cursor = self.cursor
        async with AsyncExitStack() as blocks:
            is_chunked = False
            for sql, params in executed:
                if params is None and sql == _BEGIN:
                    await blocks.enter_async_context(self.connection.transaction())
                elif params is None and sql == _COMMIT:
                    await blocks.aclose()
                elif params is None and sql == _CHUNKED:
                    is_chunked = True
                elif is_chunked:
                    await self._fetch_chunk(sql, params)
                    is_chunked = False
                else:
                    await cursor.execute(sql, params)
                    if cursor.description is not None:
                        await cursor.fetchall()

    async def _fetch_chunk(self, sql: str, params: Any) -> None:
        withhold = self.connection.autocommit
        async with ServerCursor(self.connection, "chunks", withhold=withhold) as cursor:
            await cursor.execute(sql, params)
            await cursor.fetchmany(shelf.CHUNK)
