"""A process between clients and the server, at which all that passes is late.

``python -m benches.round_trips.proxy HOST PORT MILLISECONDS…`` listens at a port for each round
trip, and at a first one that tells how many there were. It prints the ports, and ends with its
input. Half of a round trip is the delay in each direction. However much is sent meanwhile, it is
not held up any longer.
"""

import asyncio
import json
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from selectors import SelectSelector

HOST = "127.0.0.1"


class Line:
    """What lies between the clients of a port and the server."""

    def __init__(self, host: str, port: int, round_trip: float) -> None:
        self._server = host, port
        self._delay = round_trip / 2
        #: How often a client has sent something when the last that it had sent was answered.
        self.round_trips = 0
        self._is_answered = True

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what a client and the server send, until both have ended."""
        server_reader, server_writer = await self._connect()
        await asyncio.gather(
            self._carry(reader, server_writer, self._sent, _nothing),
            self._carry(server_reader, writer, _nothing, self._answered),
        )

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._server
        if host.startswith("/"):
            return await asyncio.open_unix_connection(str(Path(host, f".s.PGSQL.{port}")))
        return await asyncio.open_connection(host, port)

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        read: Callable[[], None],
        delivered: Callable[[], None],
    ) -> None:
        call_later = asyncio.get_running_loop().call_later
        under_way: deque[bytes] = deque()

        def deliver() -> None:
            writer.write(under_way.popleft())
            delivered()

        try:
            while chunk := await reader.read(2**16):
                read()
                under_way.append(chunk)
                if self._delay:
                    call_later(self._delay, deliver)
                else:
                    deliver()
        except ConnectionError:
            pass
        call_later(self._delay, writer.close)

    def _sent(self) -> None:
        self.round_trips += self._is_answered
        self._is_answered = False

    def _answered(self) -> None:
        self._is_answered = True


def _nothing() -> None:
    pass


async def main(host: str, port: str, *milliseconds: str) -> None:
    lines = [Line(host, int(port), float(each) / 1e3) for each in milliseconds]

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps([line.round_trips for line in lines]).encode())
        writer.close()

    servers = [
        await asyncio.start_server(accept, HOST, 0)
        for accept in (tell, *(line.accept for line in lines))
    ]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a loop that waits for fractions of a millisecond, as others do not."""
    return asyncio.SelectorEventLoop(SelectSelector())


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main(*sys.argv[1:]))
