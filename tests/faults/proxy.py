"""A proxy between clients and the server that does to their traffic what a network may do.

It has a thread and an event loop of its own, so a test's loop may be as busy or as blocked as the
test wants. It knows where a message of PostgreSQL's protocol begins, and nothing else about it.
"""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from types import TracebackType
from typing import Any

from django.db import connections
from psycopg.conninfo import make_conninfo

from tests.faults.fault import Action, Fault, Toward
from tests.support.databases import database

CANCEL_REQUEST = 80877102

type Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """A proxy on 127.0.0.1, for ``with``: to the server of the tests, or to that of a DSN."""

    def __init__(self, dsn: str | None = None) -> None:
        self._dsn = dsn or dsn_of("default")
        self.port = 0
        self.accepted = 0
        self.cancels = 0
        self.refuses = False
        self._faults: list[Fault] = []
        self._links: set[Link] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def dsn(self) -> str:
        """The server's DSN, by way of the proxy, without encryption."""
        return make_conninfo(
            self._dsn, host="127.0.0.1", port=self.port, sslmode="disable", gssencmode="disable"
        )

    def database(self, **options: Any) -> dict[str, Any]:
        """Return a ``DATABASES`` entry for the server by way of the proxy."""
        entry = database(self.dsn)
        return {**entry, "OPTIONS": {**entry["OPTIONS"], **options}}

    def add(self, fault: Fault) -> Fault:
        """Have something go wrong, once the traffic is where the fault says."""
        self._faults.append(fault)
        return fault

    def reset(self) -> None:
        """Reset all connections, now."""
        self._call(lambda: [link.strike(Action.RESET) for link in [*self._links]])

    def pause(self) -> None:
        """Have nothing arrive anywhere, on connections that there are, until ``resume()``."""
        self._call(lambda: [gate.clear() for link in self._links for gate in link.gates.values()])

    def resume(self) -> None:
        """Let arrive what was paused, and have no message late any more."""
        self._call(lambda: [link.resume() for link in self._links])

    @property
    def open(self) -> int:
        """The number of connections that are open."""
        return len(self._links)

    def wait_until_all_closed(self) -> None:
        """Wait until no connection is open, from which side ever it is ended."""
        deadline = time.monotonic() + 10
        while self._links:
            assert time.monotonic() < deadline, f"{self.open} connections are still open"
            time.sleep(0.001)

    def first(self, toward: Toward, message: bytes) -> tuple[Fault, int] | None:
        """Return the fault that happens first in a message, and where."""
        places = [
            (fault, fault.place(message)) for fault in self._faults if fault.toward is toward
        ]
        due = [(fault, place) for fault, place in places if place is not None]
        if not due:
            return None
        found = min(due, key=lambda item: item[1])
        self._faults.remove(found[0])
        return found

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()
        for link in [*self._links]:
            link.strike(Action.RESET)
        while self._links:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = Link(self, (reader, writer))
        self._links.add(link)
        try:
            with suppress(ConnectionError):
                if not self.refuses:
                    await link.run(self._dsn)
        finally:
            link.strike(Action.RESET if self.refuses else Action.CLOSE)
            self._links.discard(link)

    def _call(self, function: Any) -> None:
        async def call() -> None:
            function()

        asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        assert not self._thread.is_alive()


class Link:
    """A client's connection, and the one to the server that belongs to it."""

    def __init__(self, proxy: Proxy, client: Streams) -> None:
        self.gates = {toward: asyncio.Event() for toward in Toward}
        self._proxy = proxy
        self._client = client
        self._writers = {Toward.CLIENT: client[1]}
        self._seconds = dict.fromkeys(Toward, 0.0)
        self.resume()

    def resume(self) -> None:
        for toward, gate in self.gates.items():
            gate.set()
            self._seconds[toward] = 0

    async def run(self, dsn: str) -> None:
        """Pass on what is sent in both directions, until both have ended, or one has failed."""
        server = await connect(dsn)
        self._writers[Toward.SERVER] = server[1]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass(Toward.SERVER, self._client[0]))
            group.create_task(self._pass(Toward.CLIENT, server[0]))

    async def _pass(self, toward: Toward, reader: asyncio.StreamReader) -> None:
        writer = self._writers[toward]
        is_cancel = False
        try:
            async for message in messages(reader, has_startup=toward is Toward.SERVER):
                if toward is Toward.SERVER and message[4:8] == struct.pack("!i", CANCEL_REQUEST):
                    is_cancel = True
                    self._proxy.cancels += 1
                due = None if is_cancel else self._proxy.first(toward, message)
                rest = message
                if due is not None:
                    fault, place = due
                    writer.write(message[:place])
                    rest = message[place:]
                    if fault.action is not Action.RESET:
                        await writer.drain()
                    self.strike(fault.action, toward, fault.seconds)
                    fault.struck.set()
                    if writer.is_closing() or fault.action is Action.HALF_CLOSE:
                        break
                await asyncio.sleep(self._seconds[toward])
                await self.gates[toward].wait()
                writer.write(rest)
                await writer.drain()
            else:
                if writer.can_write_eof() and not writer.is_closing():
                    writer.write_eof()
        except (ConnectionError, asyncio.IncompleteReadError):
            # Cut off by one end, in the middle or with something unread: so it is for the other.
            self.strike(Action.RESET)

    def strike(self, action: Action, toward: Toward = Toward.CLIENT, seconds: float = 0) -> None:
        """Do something to the connection, now."""
        match action:
            case Action.RESET:
                for writer in self._writers.values():
                    reset(writer)
            case Action.CLOSE:
                for writer in self._writers.values():
                    writer.close()
            case Action.HALF_CLOSE:
                self._writers[toward].write_eof()
            case Action.PAUSE:
                self.gates[toward].clear()
            case Action.DELAY:
                self._seconds[toward] = seconds
        if action in {Action.RESET, Action.CLOSE}:
            self.resume()


async def messages(reader: asyncio.StreamReader, *, has_startup: bool) -> AsyncIterator[bytes]:
    """Yield one message after the other. The first one of a client has no type."""
    while True:
        head = await reader.read(1)
        if not head:
            return
        head += await reader.readexactly(3 if has_startup else 4)
        length = struct.unpack("!i", head[-4:])[0]
        yield head + await reader.readexactly(length - 4)
        has_startup = False


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a socket such that its other end gets a RST, where its kind has such a thing."""
    if not writer.is_closing():
        sock = writer.get_extra_info("socket")
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def connect(dsn: str) -> Streams:
    """Connect to the server of a DSN, by TCP or by its socket in the file system."""
    from psycopg.conninfo import conninfo_to_dict

    parameters = conninfo_to_dict(dsn)
    host, port = str(parameters.get("host", "/tmp")), int(parameters.get("port", 5432))
    if host.startswith("/"):
        return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    return await asyncio.open_connection(host, port)


def dsn_of(alias: str) -> str:
    """Return the DSN of a database in the settings."""
    parameters = connections[alias].get_connection_params()
    wanted = ("dbname", "user", "password", "host", "port")
    return make_conninfo(**{name: parameters[name] for name in wanted if name in parameters})
