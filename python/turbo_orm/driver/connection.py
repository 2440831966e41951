"""psycopg's connection, whose socket the event loop watches from one statement to the next.

It waits as psycopg's does, for any of psycopg's generators, and leaves everything but the plain
case to it: to write, to wait for so long and no longer, to be interrupted.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Generator
from datetime import tzinfo
from typing import Any, cast

import psycopg
from django_async_backend.db.backends.postgresql.async_base import AsyncCursor
from psycopg import postgres
from psycopg.pq import ConnStatus, Format, TransactionStatus
from psycopg.waiting import Wait

from turbo_orm.driver.socket_reader import Reader, Suspended

_BAD = ConnStatus.BAD
_IDLE = TransactionStatus.IDLE
_READY = frozenset({_IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR})
_WAIT_R = Wait.R
_TIMESTAMPTZ = postgres.types["timestamptz"].oid
_UNKNOWN: Any = object()


class AsyncConnection(psycopg.AsyncConnection[Any]):
    """A connection of psycopg's that turbo-orm has opened."""

    def __init__(self, pgconn: Any) -> None:
        self._reader = Reader()
        self._timezone: tzinfo | None = _UNKNOWN
        # Those that receivers of connection_created have registered.
        self.types: Any = None
        super().__init__(pgconn)

    async def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait for a generator as psycopg does."""
        if args or kwargs or self._notice_handlers or self._notify_handlers:
            # Handlers are called by the task that waits, in its context.
            self._reader.stop()
            return await super().wait(gen, *args, **kwargs)
        first: Any
        try:
            first = next(gen)
            if first == _WAIT_R:
                return await self._reader.receive(self.pgconn, gen)
        except StopIteration as stop:
            self._stop_if_closed()
            # psycopg may give the loop a turn.
            return await super().wait(_at_once(stop.value))
        except Suspended as suspended:
            first = suspended.wanted
        except (CancelledError, KeyboardInterrupt) as exc:
            # psycopg cancels the statement on the server, or gives the connection up.
            first = exc
        except BaseException:
            self._reader.forget()
            self._stop_if_closed()
            raise
        self._reader.forget()
        self._reader.stop()
        return await super().wait(cast(Any, _Begun(gen, first)))

    def _stop_if_closed(self) -> None:
        if self.pgconn.status == _BAD:
            self._reader.stop()

    async def close(self) -> None:
        """Close the connection. Whoever waits for it gets ``OperationalError``."""
        self._reader.abandon()
        await super().close()

    def __del__(self, *args: Any) -> None:
        if hasattr(self, "_reader"):
            self._reader.stop()
        super().__del__(*args)

    def is_ready(self, timezone: tzinfo | None) -> bool:
        """Return whether a statement can be sent just so.

        By the simple protocol with its values in place, behind ``opening()``, and outside of a
        pipeline; and moments would be loaded in a time zone.
        """
        return (
            self.pgconn.transaction_status in _READY
            and self.cursor_factory is AsyncCursor
            and self._pipeline is None
            and not self.lock.locked()
            and (self._timezone == timezone or self._loads_in() == timezone)
        )

    def opening(self) -> bytes:
        """Return the BEGIN that is due before a statement, to be sent with it, or nothing."""
        if self._autocommit or self.pgconn.transaction_status != _IDLE:
            return b""
        return self._get_tx_start_command() + b";"

    def _loads_in(self) -> tzinfo | None:
        """Return the time zone of Django's that moments are loaded in."""
        loader: Any = self.adapters.get_loader(_TIMESTAMPTZ, Format.TEXT)
        self._timezone = getattr(loader, "timezone", _UNKNOWN)
        return self._timezone


class _Begun:
    """A generator that was begun elsewhere: what it waits for, or was interrupted by, is known."""

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
