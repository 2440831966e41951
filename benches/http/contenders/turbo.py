"""turbo-orm: beside a Django that is left as it is, with all of it patched, and its handler."""

import asyncio
from typing import Any

from benches.http import answer
from benches.http.contenders.django_orm import DjangoOrm
from benches.http.contenders.django_sync import SyncEndpoints
from benches.http.endpoints import LENGTH, first_of_list, keys_of_eight


class Turbo(DjangoOrm):
    """A pool, and a connection for each task. What is Django's is left as it is."""

    manager = "turbo_orm.AsyncManager"
    apps = ("turbo_orm",)
    settings: dict[str, Any] = {"TURBO_ORM": {"PATCH_DJANGO": False}}

    async def eight(self, key: int) -> Any:
        return await asyncio.gather(*map(self.get, keys_of_eight(key)))

    async def write(self, key: int) -> Any:
        from turbo_orm import async_atomic

        async with async_atomic():
            return await self.visit(key)

    async def json(self, key: int) -> Any:
        return await self._rows(key).values(*answer.ENTRY)[:LENGTH].ajson()

    async def joined_json(self, key: int) -> Any:
        names = [*answer.ENTRY, *(f"author__{name}" for name in answer.AUTHOR)]
        return await self._rows(key).values(*names)[:LENGTH].ajson(nested=True)

    def _rows(self, key: int) -> Any:
        from benches.http.models import Entry

        return Entry.objects.filter(pk__gte=first_of_list(key)).order_by("pk")


class TurboMultiplex(Turbo):
    """The same with two connections that the statements of several tasks share."""

    settings: dict[str, Any] = {"TURBO_ORM": {"PATCH_DJANGO": False, "MULTIPLEX": 2}}


class TurboPatched(Turbo):
    """As it comes: with ``PATCH_DJANGO``."""

    settings: dict[str, Any] = {}


class TurboHandler(TurboPatched):
    """As it comes, behind its own handler, with async views."""

    def handler(self) -> Any:
        from turbo_orm.asgi import get_asgi_application

        return get_asgi_application()


class TurboSyncViews(SyncEndpoints):
    """Sync views on the bridge, behind the same handler: those that threads call elsewhere."""

    manager = Turbo.manager
    apps = Turbo.apps
    settings: dict[str, Any] = {"TURBO_ORM": {"SYNC_VIEWS": "bridge"}}
    handler = TurboHandler.handler
