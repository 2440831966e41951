"""turbo-orm: as it comes, and with Django patched, which keeps Django's handler in the loop."""

import asyncio
from typing import Any

from benches.http.contenders.django_orm import DjangoOrm
from benches.http.endpoints import keys_of_eight


class Turbo(DjangoOrm):
    """A pool, and a connection for each task."""

    manager = "turbo_orm.AsyncManager"
    apps = ("turbo_orm",)

    async def eight(self, key: int) -> Any:
        return await asyncio.gather(*map(self.get, keys_of_eight(key)))

    async def write(self, key: int) -> Any:
        from turbo_orm import async_atomic

        async with async_atomic():
            return await self.visit(key)


class TurboPatched(Turbo):
    """The same with ``PATCH_DJANGO``."""

    settings = {"TURBO_ORM": {"PATCH_DJANGO": True}}
