"""The statements of a bulk insert or update: those of several batches are executed by one message.

They are made while they are executed, so that memory holds those of a message. The server reads a
message to its end before it executes any of it: neither side waits for the other to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.db import connections
from psycopg.adapt import Transformer

from turbo_orm import bridge
from turbo_orm.driver.connection import AsyncConnection
from turbo_orm.execution import direct
from turbo_orm.query_cache.bound import BoundStatement
from turbo_orm.query_cache.compiled import CompiledStatement, PlainBinder

#: A message has at most so many statements, and no further one once it has so many bytes.
MOST = 100
BYTES = 1_000_000


class _Batch(BoundStatement):
    """A statement whose literals are written once, for its size. It is never prepared."""

    __slots__ = ("text",)

    def __init__(
        self, statement: CompiledStatement, params: tuple[Any, ...], driver: AsyncConnection
    ) -> None:
        super().__init__(statement, params)
        self.text = super().render(driver)

    def render(self, connection: Any) -> bytes:
        return self.text


class _Uncompiled(NamedTuple):
    """A statement for the driver to read, or refuse: it has other placeholders than ``%s``."""

    sql: str
    params: tuple[Any, ...]


def execute(
    using: str, statements: Iterable[tuple[str, tuple[Any, ...]]]
) -> Iterator[tuple[Any, Any]]:
    """Execute statements in a transaction, and yield for each what ``direct.execute()`` returns.

    Where they cannot be sent together, each is executed before the next one is made, as by Django.
    What making one raises is raised after those before it are executed. Runs on the bridge.
    """
    for message in _messages(using, statements, direct.driver_of(using)):
        if isinstance(message, _Uncompiled):
            yield direct.execute_by_cursor(using, message)
            continue
        results = None
        if len(message) > 1:
            results = bridge.await_(direct.execute_together(using, message))
        yield from results or [bridge.await_(direct.execute(using, each)) for each in message]


def rows(using: str, pgresult: Any, context: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a result as psycopg's cursor loads them.

    ``context`` is the driver's connection or cursor that has received it.
    """
    with connections[using].wrap_database_errors:
        transformer = Transformer(context)
        transformer.set_pgresult(pgresult)
        return transformer.load_rows(0, pgresult.ntuples, tuple)


def _messages(
    using: str,
    statements: Iterable[tuple[str, tuple[Any, ...]]],
    driver: AsyncConnection | None,
) -> Iterator[Sequence[BoundStatement] | _Uncompiled]:
    """Yield the statements that are sent together: each alone if no connection receives them."""
    message: list[BoundStatement] = []
    size = 0
    compiled = None
    try:
        for sql, params in statements:
            if compiled is None or compiled.sql != sql:
                compiled = _compiled(using, sql, len(params))
            if compiled is None:
                if message:
                    yield message
                    message, size = [], 0
                yield _Uncompiled(sql, params)
                continue
            if driver is None:
                yield [BoundStatement(compiled, params)]
                continue
            with connections[using].wrap_database_errors:
                batch = _Batch(compiled, params, driver)
            message.append(batch)
            size += len(batch.text)
            if len(message) == MOST or size >= BYTES:
                yield message
                message, size = [], 0
    except Exception:
        if message:
            yield message
        raise
    if message:
        yield message


def _compiled(using: str, sql: str, params: int) -> CompiledStatement | None:
    """Return the statement for its literals to be written, ``None`` if it is the driver's."""
    try:
        statement = CompiledStatement(
            using,
            sql,
            [PlainBinder(slot) for slot in range(params)],
            [(slot, 0) for slot in range(params)],
        )
    except ValueError:
        return None
    statement.literals_reason = "it has the values of a batch"
    return statement
