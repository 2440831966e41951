"""Django's own async methods, each of which hops to a thread.

Django's handler runs each request in its own thread, and closes its connection at the end.
A bare application has to do the same by itself (``respond()``), or uses one thread for all.
"""

from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import close_old_connections, transaction

from benches.http import answer
from benches.http.contenders.django_orm import DjangoOrm
from benches.http.contenders.django_sync import write


class DjangoAsync(DjangoOrm):
    """A thread for each request, as in Django's handler, and a pool."""

    engine = "django.db.backends.postgresql"

    async def respond(self, endpoint: str, key: int) -> Any:
        async with ThreadSensitiveContext():
            try:
                return await super().respond(endpoint, key)
            finally:
                await sync_to_async(close_old_connections)()

    async def write(self, key: int) -> Any:
        # A transaction cannot be begun in one hop and ended in another.
        await sync_to_async(transaction.atomic(write))(key)
        return answer.written(key)


class DjangoAsyncNoPool(DjangoAsync):
    """The same without a pool, as is Django's default: a connection for each request."""

    def database(self) -> dict[str, Any]:
        entry = super().database()
        del entry["OPTIONS"]["pool"]
        return entry


class DjangoAsyncOneThread(DjangoAsyncNoPool):
    """All requests in one thread, on one connection that stays.

    A bare application gets this without what Django's handler does.
    """

    async def respond(self, endpoint: str, key: int) -> Any:
        return await getattr(self, endpoint)(key)
