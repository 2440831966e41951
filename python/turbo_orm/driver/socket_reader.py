"""The socket of a connection, watched by the event loop from one statement to the next.

psycopg registers the socket with the loop for each wait and withdraws it afterwards: two system
calls, a timer and 45 Python calls for every statement. A ``Reader`` stays registered. The loop's
callback is the native core's, which receives the results of a statement that it has sent
(``exchange``); for any other, psycopg's generator is driven. So the task wakes up once, when the
whole result has arrived.

A descriptor must not be closed while it is registered: the loop would take the next socket of that
number for it. So the code that closes the socket (**connection**) stops the reader first, and
where libpq may have closed it by itself, the reader is stopped before anything else runs.
"""

from __future__ import annotations

import asyncio
import select
import socket
from asyncio import _get_running_loop
from collections.abc import Callable, Generator
from contextlib import suppress
from contextvars import Context
from typing import Any
from weakref import ref

import psycopg
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.waiting import Ready, Wait

from turbo_orm._core import Exchange, Pipeline, Reply

_BAD = ConnStatus.BAD
_FATAL_ERROR = ExecStatus.FATAL_ERROR
_READY_R = Ready.R
_WAIT_R = Wait.R


def is_farewell(fd: int) -> bool:
    """Return whether a socket has the server's last message: an error, or the end."""
    with suppress(OSError):
        peer = socket.socket(fileno=fd)
        try:
            return peer.recv(1, socket.MSG_PEEK) in (b"", b"E") or _has_hung_up(fd)
        except BlockingIOError:
            # What has arrived was read since the loop has looked.
            return _has_hung_up(fd)
        finally:
            peer.detach()
    return True


def _has_hung_up(fd: int) -> bool:
    """Return whether the server has closed its end. What it has sent before may be encrypted."""
    ended: int = getattr(select, "POLLRDHUP", select.POLLHUP)
    poll = select.poll()
    poll.register(fd, ended)
    return bool(poll.poll(0))


class Suspended(Exception):
    """A generator of psycopg's waits for something else than to read."""

    def __init__(self, wanted: Any) -> None:
        self.wanted = wanted


class Reader:
    """The loop's callback for a socket. It does not keep the connection alive."""

    __slots__ = (
        "__weakref__",
        "_fd",
        "_generator",
        "_loop",
        "_on_farewell",
        "_pgconn",
        "_received",
        "_watches_writing",
        "exchange",
        "pipeline",
    )

    def __init__(self, pgconn: Any, on_farewell: Callable[[], None]) -> None:
        #: Sends statements, and is the loop's callback.
        self.exchange = Exchange(pgconn, ref(self))
        #: Does so instead, while the connection is shared.
        self.pipeline: Pipeline | None = None
        # Called where the server ends the session while no statement runs.
        self._on_farewell = on_farewell
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fd = -1
        self._watches_writing = False
        self._pgconn = pgconn
        # Of the statement that runs.
        self._generator: Generator[Any, Any, Any] | None = None
        self._received: asyncio.Future[Any] | None = None

    def receive(self, generator: Generator[Any, Any, Any]) -> asyncio.Future[Any]:
        """Return the future result of a generator of psycopg's that waits to read.

        The future raises ``Suspended`` if the generator waits for something else. Raises
        ``OperationalError`` if the socket is closed.
        """
        received = self._received = self.watch().create_future()
        self._generator = generator
        return received

    def watch(self) -> asyncio.AbstractEventLoop:
        """Have the running event loop watch the socket, and return the loop.

        Raises ``OperationalError`` if the socket is closed.
        """
        loop = _get_running_loop()
        fd = self._pgconn.socket
        if self._loop is not loop or self._fd != fd:
            self.stop()
            self._start(loop, fd)
        return loop  # type: ignore[return-value]

    def _start(self, loop: Any, fd: int) -> None:
        try:
            # The loop keeps the context of the caller, and with it what the task's context holds.
            receiver = self.exchange if self.pipeline is None else self.pipeline
            Context().run(loop.add_reader, fd, receiver.receive)
        except OSError as exc:
            raise psycopg.OperationalError("connection socket closed") from exc
        self._loop, self._fd = loop, fd

    def stop(self) -> None:
        """Unregister the socket. The future of a statement that runs gets no result any more."""
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_closed():
            if self._watches_writing:
                # Of a socket that libpq has closed, both are unregistered by an error.
                with suppress(OSError):
                    loop.remove_writer(self._fd)
            loop.remove_reader(self._fd)
        self._watches_writing = False

    def watch_writing(self, callback: Callable[[], None] | None) -> None:
        """Have a callback called while the socket can be written to, or none any more."""
        loop = self._loop
        if loop is None or (callback is None) is not self._watches_writing:
            return
        self._watches_writing = callback is not None
        if callback is None:
            loop.remove_writer(self._fd)
        else:
            Context().run(loop.add_writer, self._fd, callback)

    def forget(self) -> None:
        """Drop the statement that ran."""
        self._generator = self._received = None
        self.exchange.abandon()

    def abandon(self) -> None:
        """Stop. The future of a statement that runs raises ``OperationalError``."""
        self.stop()
        waited_for = self.exchange.abandon() or self._received
        self.forget()
        if waited_for is not None and not waited_for.done():
            waited_for.set_exception(psycopg.OperationalError("connection socket closed"))

    # For the core

    def go_on(self) -> None:
        """Go on with a generator, or else see what the server says."""
        generator, received = self._generator, self._received
        if generator is None or received is None:
            # A notification, or the server's last message: it is read with the next statement.
            self.stop()
            if is_farewell(self._fd):
                self._on_farewell()
            return
        error: Exception
        try:
            wanted = generator.send(_READY_R)
            if wanted == _WAIT_R:
                return
            error = Suspended(wanted)
        except StopIteration as stop:
            if self._pgconn.status == _BAD:
                self.stop()
            self._generator = self._received = None
            if not received.done():
                received.set_result(stop.value)
            return
        except Exception as exc:
            error = exc
        # libpq closes the socket of a connection that has failed.
        if self._pgconn.status == _BAD:
            self.stop()
        self.forget()
        if not received.done():
            received.set_exception(error)

    def lose(self, reply: Reply, results: list[Any], is_broken: bool) -> None:
        """Stop, since libpq has closed the socket, and end a statement as psycopg does.

        ``results`` have arrived before, and ``is_broken`` if it was found by reading.
        """
        self.stop()
        if is_broken and not any(result.status == _FATAL_ERROR for result in results):
            reason = self._pgconn.get_error_message()
            reply.set_exception(psycopg.OperationalError(f"consuming input failed: {reason}"))
        else:
            reply.set_result(results)
