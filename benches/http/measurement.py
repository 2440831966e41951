"""One contender, behind one application, loaded at one endpoint by so many clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benches.http.usage import Usage
from benches.http.wrk import Load


@dataclass(frozen=True)
class Measurement:
    """What was loaded, in which round, the rates, and the resources that it took."""

    application: str
    contender: str
    endpoint: str
    clients: int
    round: int
    load: Load
    usage: Usage
    #: Bytes of the server before the load of so many clients, and of all that were fewer.
    started: int | None = None

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.load.requests / self.load.seconds

    @property
    def grown(self) -> int | None:
        """Bytes that the clients have added to the server."""
        server = self.usage.server
        return None if server is None or self.started is None else server - self.started

    def record(self) -> dict[str, Any]:
        """Return it as plain data: rates a second, times in milliseconds, memory in MB."""
        usage = self.usage
        return {
            "application": self.application,
            "contender": self.contender,
            "endpoint": self.endpoint,
            "clients": self.clients,
            "round": self.round,
            "rate": round(self.rate, 1),
            "p50": round(self.load.p50 * 1e3, 2),
            "p99": round(self.load.p99 * 1e3, 2),
            "errors": {kind: number for kind, number in self.load.errors.items() if number},
            "server": _megabytes(usage.server),
            "grown": _megabytes(self.grown),
            "backends": _megabytes(usage.backends),
            "threads": usage.threads,
            "connections": usage.connections,
        }


def _megabytes(size: int | None) -> float | None:
    return None if size is None else round(size / 1e6, 1)
