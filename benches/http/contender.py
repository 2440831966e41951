"""The contender protocol of servers: a library with a pool, which answers at endpoints."""

from typing import Any

from benches.http import answer


class Contender:
    """An ORM or a driver with a pool of connections. The last methods are the endpoints."""

    name: str
    #: Whether the endpoints are plain functions, and so is the view.
    is_sync = False
    #: How many threads call the application. None do if it is served by an event loop.
    threads = 0

    def __init__(self, dsn: str, pool: int) -> None:
        self.dsn = dsn
        self.pool = pool

    def set_up(self, application: str) -> None:
        """Configure the library, before the application is made."""

    def handler(self) -> Any:
        """Return Django's handler, which calls the view."""
        from django.core.asgi import get_asgi_application

        return get_asgi_application()

    async def open(self) -> None:
        """Connect."""

    async def close(self) -> None:
        """Disconnect."""

    async def respond(self, endpoint: str, key: int) -> Any:
        """Answer a request of a bare application."""
        return await getattr(self, endpoint)(key)

    async def no_query(self, key: int) -> Any:
        return answer.entry_without_query(key)

    async def get(self, key: int) -> Any:
        raise NotImplementedError

    async def list(self, key: int) -> Any:
        raise NotImplementedError

    async def joined(self, key: int) -> Any:
        raise NotImplementedError

    async def json(self, key: int) -> Any:
        """Answer what ``list`` does, by the library's shortest way to JSON."""
        return await self.list(key)

    async def joined_json(self, key: int) -> Any:
        return await self.joined(key)

    async def eight(self, key: int) -> Any:
        raise NotImplementedError

    async def write(self, key: int) -> Any:
        raise NotImplementedError
