"""psycopg's connection, whose socket the event loop watches from one statement to the next.

It waits for psycopg's generators by a ``Reader`` (**socket_reader**). Everything but reading a
result is left to psycopg: to write, to wait with a timeout, to be interrupted.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Generator
from datetime import tzinfo
from functools import partial
from operator import attrgetter
from typing import Any, Protocol, Self, cast
from weakref import ref

import psycopg
from django_async_backend.db.backends.postgresql.async_base import AsyncCursor
from psycopg import capabilities, generators, postgres
from psycopg.pq import ConnStatus, ExecStatus, Format, TransactionStatus
from psycopg.waiting import Wait

from turbo_orm._core import Parameters, Pipeline
from turbo_orm.driver import cancel_request, libpq, loop_closing
from turbo_orm.driver.prepared import PreparedStatements
from turbo_orm.driver.socket_reader import Reader, Suspended
from turbo_orm.driver.statement_lock import StatementLock

_ACTIVE = TransactionStatus.ACTIVE
_COMMAND_OK = ExecStatus.COMMAND_OK
_BAD = ConnStatus.BAD
_IDLE = TransactionStatus.IDLE
_READY = frozenset({_IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR})
_WAIT_R = Wait.R
_TIMESTAMPTZ = postgres.types["timestamptz"].oid
_UNKNOWN: Any = object()
_ENDED = cast(tzinfo, object())


class Chunks(Protocol):
    """What receives a result in chunks of so many rows, before libpq 17 in none."""

    size: int

    def receive(self, context: Any, pgresult: Any) -> None:
        """Receive a chunk. It is called by the event loop, and ``context`` is the connection."""
        ...


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
        # A result has arrived in chunks: libpq would return that of a pipeline so, too.
        self.has_streamed = False
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
        self,
        query: bytes,
        name: bytes = b"",
        parameters: Parameters | None = None,
        chunks: Chunks | None = None,
    ) -> list[Any]:
        """Send a statement, and return its results. The caller holds ``lock``.

        With ``parameters`` it is the statement that was prepared by a name. Where ``chunks``
        receive rows, the last result has none.
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
            self.has_streamed = chunks is not None
            receive = None if chunks is None else (partial(chunks.receive, self), chunks.size)
            reply = (
                reader.exchange.send(query, loop, receive)
                if parameters is None
                else reader.exchange.send_prepared(name, parameters, loop, receive)
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

    def require_command(self, results: list[Any]) -> None:
        """Raise what psycopg's cursor does where the last result is no command's."""
        if not results or results[-1].status != _COMMAND_OK:
            cursor: Any = self.cursor_factory(self)
            cursor._check_results(results)

    def begin_pipeline(self, owner: Any, tells_end: bool = False) -> Pipeline:
        """Have statements sent side by side from now on, and return what sends them.

        The methods of ``owner`` are called: ``lose()`` where the connection is closed by an error,
        ``receive_unasked()`` where a notification or the end of the session is received while no
        statement is executed, and, with ``tells_end``, ``end()`` after the last result.
        """
        self.pgconn.enter_pipeline_mode()
        self._reader.stop()
        pipeline = self._reader.pipeline = Pipeline(self.pgconn, ref(owner), tells_end)
        self._reader.watch()
        return pipeline

    def end_pipeline(self, is_lost: bool = False) -> None:
        """Have one statement sent after the other again, as none is on its way.

        With ``is_lost`` the connection is closed.
        """
        self._reader.stop()
        self._reader.pipeline = None
        if is_lost:
            self.pgconn.finish()
        elif self.pgconn.status != _BAD:
            self.pgconn.exit_pipeline_mode()

    def watch_writing(self, callback: Callable[[], None] | None) -> None:
        """Have a callback called while the socket takes what is sent, or none any more."""
        self._reader.watch_writing(callback)

    @property
    def has_handlers(self) -> bool:
        """Whether functions are to be called in the task that receives a notice."""
        return bool(self._notice_handlers or self._notify_handlers)

    def note_farewell(self) -> None:
        """Note that the server has ended the session while no statement ran."""
        self.has_ended = True
        # What is_ready() compares: it needs not ask for more.
        self._timezone = _ENDED

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
        pipeline = self._reader.pipeline
        if self.pgconn.transaction_status == _ACTIVE and capabilities.has_cancel_safe():
            if pipeline is None:
                cancel_request.send_blocking(self.pgconn, seconds=2.0)
            else:
                cancel_request.cancel_pipeline(self.pgconn, len(pipeline.abandon()), seconds=2.0)
        self.pgconn.finish()

    def __del__(self, *args: Any) -> None:
        if hasattr(self, "_reader"):
            self._reader.stop()
        super().__del__(*args)

    def is_ready(self, timezone: tzinfo | None, is_locked: bool = False) -> bool:
        """Return whether a statement can be sent without a cursor.

        That is by the simple protocol with literals for its values, after ``opening()``, and
        outside of a pipeline; and timestamps are loaded in the time zone. The caller may have
        locked the connection.
        """
        return (
            self.pgconn.transaction_status in _READY
            and self.cursor_factory is AsyncCursor
            and self._pipeline is None
            and self.lock.is_locked is is_locked
            # The one that waits has it by now.
            and (is_locked or not self.lock._waiters)
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
        connection.note_farewell()


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
