"""psycopg's connection, whose socket the event loop watches from one statement to the next.

It waits for psycopg's generators by a ``Reader`` (**socket_reader**). Everything but reading a
result is left to psycopg: to write, to wait with a timeout, to be interrupted.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Generator
from datetime import tzinfo
from operator import attrgetter
from typing import Any, Self, cast
from weakref import ref

import psycopg
from django_async_backend.db.backends.postgresql.async_base import AsyncCursor
from psycopg import capabilities, generators, postgres
from psycopg.pq import ConnStatus, Format, TransactionStatus
from psycopg.waiting import Wait

from turbo_orm._core import Parameters
from turbo_orm.driver import cancel_request, libpq, loop_closing
from turbo_orm.driver.prepared import PreparedStatements
from turbo_orm.driver.socket_reader import Reader, Suspended
from turbo_orm.driver.statement_lock import StatementLock

_ACTIVE = TransactionStatus.ACTIVE
_BAD = ConnStatus.BAD
_IDLE = TransactionStatus.IDLE
_READY = frozenset({_IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR})
_WAIT_R = Wait.R
_TIMESTAMPTZ = postgres.types["timestamptz"].oid
_UNKNOWN: Any = object()
_ENDED = cast(tzinfo, object())


class AsyncConnection(psycopg.AsyncConnection[Any]):
    """The class of the driver connections that turbo-orm opens."""

    lock: StatementLock

    def __init__(self, pgconn: Any) -> None:
        # The reader does not keep the connection alive.
        known = ref(self)
        self._reader = Reader(pgconn, lambda: _note_farewell(known()))
        # The server has ended the session while no statement ran: is_ready() is false then.
        self.has_ended = False
        self._timezone: tzinfo | None = _UNKNOWN
        # The types that receivers of connection_created have registered: see connection_created.
        self.types: Any = None
        self.prepared = PreparedStatements()
        super().__init__(pgconn)
        self.lock = StatementLock()
        self._adapters = super().adapters

    # psycopg's property makes them when they are first asked for. Each statement asks.
    adapters = property(attrgetter("_adapters"))

    @classmethod
    async def connect(cls, *args: Any, **kwargs: Any) -> Self:
        """Return a new connection, which is closed with the event loop at the latest."""
        connection = await super().connect(*args, **kwargs)
        loop_closing.of_running_loop().connections.add(connection)
        return connection

    async def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait for a generator as psycopg does."""
        if args or kwargs or self._notice_handlers or self._notify_handlers:
            # psycopg calls handlers in the waiting task, and so in its context.
            self._reader.stop()
            return await super().wait(gen, *args, **kwargs)
        first: Any
        try:
            first = next(gen)
            if first == _WAIT_R:
                return await self._reader.receive(gen)
        except StopIteration as stop:
            self._stop_if_closed()
            # psycopg may yield to the loop.
            return await super().wait(_at_once(stop.value))
        except Suspended as suspended:
            first = suspended.wanted
        except (CancelledError, KeyboardInterrupt) as exc:
            # psycopg cancels the statement on the server, or closes the connection.
            first = exc
        except BaseException:
            self._reader.forget()
            self._stop_if_closed()
            raise
        return await self._go_on(gen, first)

    async def _go_on(self, gen: Any, first: Any) -> Any:
        """Have psycopg go on with a generator, with what it waits for, or was interrupted by."""
        self._reader.forget()
        self._reader.stop()
        begun: Any = _Begun(gen, first)
        if isinstance(first, CancelledError):
            async with cancel_request.repeated(self.pgconn):
                return await super().wait(begun)
        return await super().wait(begun)

    async def exchange(
        self, query: bytes, name: bytes = b"", parameters: Parameters | None = None
    ) -> list[Any]:
        """Send a statement, and return its results. The caller holds ``lock``.

        With ``parameters`` it is the statement that was prepared by a name.
        """
        reader, pgconn = self._reader, self.pgconn
        if self._notice_handlers or self._notify_handlers or not libpq.bind():
            # psycopg calls handlers in the waiting task, and so in its context.
            if parameters is None:
                pgconn.send_query(query)
            else:
                pgconn.send_query_prepared(name, parameters.texts)
            return await self.wait(generators.execute(pgconn))  # type: ignore[no-any-return]
        try:
            loop = reader.watch()
            reply = (
                reader.exchange.send(query, loop)
                if parameters is None
                else reader.exchange.send_prepared(name, parameters, loop)
            )
            if reply is None:
                # The socket takes no more at present.
                return await self.wait(generators.execute(pgconn))  # type: ignore[no-any-return]
            results: list[Any] = await reply
            return results
        except (CancelledError, KeyboardInterrupt) as exc:
            return await self._go_on(generators.execute(pgconn), exc)  # type: ignore[no-any-return]
        except BaseException:
            reader.forget()
            self._stop_if_closed()
            raise

    async def exchange_in_turn(self, query: bytes) -> list[Any]:
        """Do the same after the statements that hold ``lock``, or wait for it."""
        await self.lock.acquire()
        try:
            return await self.exchange(query)
        finally:
            self.lock.release()

    def _stop_if_closed(self) -> None:
        if self.pgconn.status == _BAD:
            self._reader.stop()

    async def close(self) -> None:
        """Close the connection. A statement that runs raises ``OperationalError``."""
        self._reader.abandon()
        await super().close()

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:  # noqa: ASYNC109
        """Cancel the statement that runs on the server, also where this is cancelled itself."""
        if self._should_cancel():
            if capabilities.has_cancel_safe():
                await cancel_request.send(self.pgconn, timeout)
            else:
                # In a thread, which is not cancelled either.
                await super().cancel_safe(timeout=timeout)

    def finish(self) -> None:
        """Close the connection where the event loop does not run any more.

        A statement that runs is cancelled on the server.
        """
        self._reader.stop()
        self._reader.forget()
        if self.pgconn.transaction_status == _ACTIVE and capabilities.has_cancel_safe():
            cancel_request.send_blocking(self.pgconn, seconds=2.0)
        self.pgconn.finish()

    def __del__(self, *args: Any) -> None:
        if hasattr(self, "_reader"):
            self._reader.stop()
        super().__del__(*args)

    def is_ready(self, timezone: tzinfo | None) -> bool:
        """Return whether a statement can be sent without a cursor.

        That is by the simple protocol with literals for its values, after ``opening()``, and
        outside of a pipeline; and timestamps are loaded in the time zone.
        """
        return (
            self.pgconn.transaction_status in _READY
            and self.cursor_factory is AsyncCursor
            and self._pipeline is None
            and not self.lock.is_locked
            and (self._timezone == timezone or self._loads_in() == timezone)
        )

    def opening(self) -> bytes:
        """Return the BEGIN that is due before a statement, to be sent with it, or nothing."""
        if self._autocommit or self.pgconn.transaction_status != _IDLE:
            return b""
        return self._get_tx_start_command() + b";"

    def _loads_in(self) -> tzinfo | None:
        """Return the time zone that Django's loader of timestamps has, none after a farewell."""
        if self.has_ended:
            return _ENDED
        loader: Any = self.adapters.get_loader(_TIMESTAMPTZ, Format.TEXT)
        self._timezone = getattr(loader, "timezone", _UNKNOWN)
        return self._timezone


def _note_farewell(connection: AsyncConnection | None) -> None:
    if connection is not None and connection.pgconn.transaction_status == _IDLE:
        connection.has_ended = True
        # What is_ready() compares: it needs not ask for more.
        connection._timezone = _ENDED


class _Begun:
    """A generator that has started: it goes on with what it waits for, or was interrupted by."""

    def __init__(self, generator: Generator[Any, Any, Any], first: Any) -> None:
        self._generator = generator
        self._first = first

    def __next__(self) -> Any:
        first, self._first = self._first, None
        if isinstance(first, BaseException):
            raise first
        return next(self._generator) if first is None else first

    def send(self, ready: Any) -> Any:
        return self._generator.send(ready)


def _at_once(result: Any) -> Generator[Any, Any, Any]:
    yield from ()
    return result
