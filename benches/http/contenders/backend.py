"""django-async-backend and its ORM, on a pool."""

import asyncio
from typing import Any

from benches.http.contenders.django_orm import DjangoOrm
from benches.http.endpoints import keys_of_eight


class Backend(DjangoOrm):
    """A connection for each request, released at its end as its app does in Django's handler."""

    manager = "django_async_backend.db.models.manager.AsyncManager"
    apps = ("django_async_backend",)

    async def respond(self, endpoint: str, key: int) -> Any:
        from django_async_backend.db import close_old_async_connections

        try:
            return await super().respond(endpoint, key)
        finally:
            await close_old_async_connections()

    async def eight(self, key: int) -> Any:
        from django_async_backend.db import async_new_connection

        return await asyncio.gather(
            *(async_new_connection(self.get(each)) for each in keys_of_eight(key))
        )

    async def write(self, key: int) -> Any:
        from django_async_backend.db.transaction import async_atomic

        async with async_atomic():
            return await self.visit(key)
