"""The resources of a server: memory of its process and of PostgreSQL's, threads, connections."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil
import psycopg

# The backends of the other connections.
_BACKENDS = (
    "SELECT pid FROM pg_stat_activity "
    "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


@dataclass(frozen=True)
class Usage:
    """Bytes that belong to the server and to its backends, and numbers.

    Memory is the proportional set size: what several processes share is divided among them.
    It is ``None`` where the system does not report it, that is, elsewhere than on Linux.
    """

    server: int | None
    backends: int | None
    threads: int
    connections: int

    @classmethod
    def of(cls, server: psutil.Process, connection: psycopg.Connection) -> Usage:
        """Look at a server, its children included, and at the backends that serve it."""
        processes = [server, *server.children(recursive=True)]
        backends = [pid for (pid,) in connection.execute(_BACKENDS)]
        return cls(
            _bytes(process.pid for process in processes),
            _bytes(backends),
            sum(process.num_threads() for process in processes),
            len(backends),
        )


def _bytes(pids: Iterable[int]) -> int | None:
    total = 0
    for pid in pids:
        # A process may be gone by now.
        with suppress(psutil.NoSuchProcess):
            memory = psutil.Process(pid).memory_full_info()
            if not hasattr(memory, "pss"):
                return None
            total += memory.pss
    return total
