"""The default database, some milliseconds away: by way of a proxy, under aliases."""

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from django.conf import settings
from tests.faults.aliases import known_as

from benches.harness.address import address
from benches.harness.cores import send_away
from benches.harness.pool import pooled
from benches.round_trips.proxy import HOST

#: Milliseconds from when a client sends until it has an answer that takes the server no time.
ROUND_TRIPS = (0, 1, 5)
# Connections of a pool.
SIZE = 4


def alias(round_trip: float) -> str:
    """Return the alias of the database that is so many milliseconds away."""
    return f"far_{round_trip:g}"


def pooled_alias(round_trip: float) -> str:
    """Return its alias with a pool."""
    return f"{alias(round_trip)}_pooled"


class Proxy:
    """The proxy's process, for ``with``: its ports are those of aliases meanwhile."""

    def __init__(self, round_trips: Sequence[float] = ROUND_TRIPS) -> None:
        self._round_trips = round_trips
        self._known = ExitStack()

    def __enter__(self) -> "Proxy":
        server = address()
        host = server["host"] or "/tmp"
        command = [sys.executable, "-m", "benches.round_trips.proxy", host, str(server["port"])]
        self._process = subprocess.Popen(
            [*command, *map(str, self._round_trips)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        send_away(self._process.pid)
        assert self._process.stdout is not None
        self._control, *ports = json.loads(self._process.stdout.readline())
        for round_trip, port in zip(self._round_trips, ports, strict=True):
            database = _database(port)
            self._known.enter_context(known_as(alias(round_trip), database))
            self._known.enter_context(known_as(pooled_alias(round_trip), pooled(database, SIZE)))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._known.close()
        self._process.communicate()

    def count(self, round_trip: float) -> int:
        """Return how many round trips there were between the aliases and the server."""
        with socket.create_connection((HOST, self._control)) as connection:
            counts = json.load(connection.makefile())
        return counts[self._round_trips.index(round_trip)]


def _database(port: int) -> dict[str, Any]:
    default = settings.DATABASES["default"]
    options = {name: value for name, value in default["OPTIONS"].items() if name != "host"}
    # Encryption would be a round trip more, and none of the proxy's to understand.
    options |= {"sslmode": "disable", "gssencmode": "disable"}
    return {**default, "HOST": HOST, "PORT": str(port), "OPTIONS": options}
