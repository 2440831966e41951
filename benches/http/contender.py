"""The contender protocol of servers: a library with a pool, which answers at endpoints."""

from typing import Any


class Contender:
    """An ORM or a driver with a pool of connections. The last five methods are the endpoints."""

    name: str
    #: Whether the endpoints are plain functions, which threads call.
    is_sync = False

    def __init__(self, dsn: str, pool: int) -> None:
        self.dsn = dsn
        self.pool = pool

    def set_up(self) -> None:
        """Configure the library, before the application is made."""

    async def open(self) -> None:
        """Connect."""

    async def close(self) -> None:
        """Disconnect."""

    async def respond(self, endpoint: str, key: int) -> Any:
        """Answer a request of a bare application."""
        return await getattr(self, endpoint)(key)

    async def get(self, key: int) -> Any:
        raise NotImplementedError

    async def list(self, key: int) -> Any:
        raise NotImplementedError

    async def joined(self, key: int) -> Any:
        raise NotImplementedError

    async def eight(self, key: int) -> Any:
        raise NotImplementedError

    async def write(self, key: int) -> Any:
        raise NotImplementedError
