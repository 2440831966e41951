"""Django's ORM: Django itself, django-async-backend, and turbo-orm, by a manager of the models."""

from typing import Any

import uvloop
from asgiref.sync import sync_to_async
from django.db import connections
from django.db.models import Model, QuerySet

from benches import names
from benches.harness.contender import Contender


class DjangoOrm(Contender):
    """One of a model's managers, and what makes a list of a queryset."""

    manager: str

    def objects(self, model: type[Model]) -> Any:
        """Return the manager."""
        return getattr(model, self.manager)

    def listed(self, queryset: QuerySet[Any, Any]) -> Any:
        """Return a list of a queryset's results, or an awaitable of it."""
        raise NotImplementedError

    async def iterated(self, queryset: QuerySet[Any, Any]) -> Any:
        """Return the same, from a cursor on the server."""
        return [row async for row in queryset.aiterator()]


class _Iterated(DjangoOrm):
    async def listed(self, queryset: QuerySet[Any, Any]) -> list[Any]:
        return [row async for row in queryset]


class _Sync(DjangoOrm):
    is_async = False

    def listed(self, queryset: QuerySet[Any, Any]) -> list[Any]:
        return list(queryset)

    def iterated(self, queryset: QuerySet[Any, Any]) -> Any:
        return list(queryset.iterator())


class DjangoSync(_Sync):
    """Django without an event loop."""

    name = names.DJANGO_SYNC
    manager = "threaded"


class DjangoAsync(_Iterated):
    """Django's own async methods, whose connection belongs to the thread that does the work."""

    name = names.DJANGO_ASYNC
    manager = "threaded"

    async def close(self) -> None:
        await sync_to_async(connections.close_all)()


class Backend(_Iterated):
    """django-async-backend's managers."""

    name = names.BACKEND
    manager = "backend"


class Turbo(DjangoOrm):
    """turbo-orm's manager, and its own terminal for lists."""

    name = names.TURBO
    manager = "objects"

    def listed(self, queryset: Any) -> Any:
        return queryset.alist()


class TurboOnUvloop(Turbo):
    name = names.TURBO_ON_UVLOOP
    new_loop = staticmethod(uvloop.new_event_loop)


class TurboSync(_Sync):
    """turbo-orm's manager on Django's sync connection."""

    name = names.TURBO_SYNC
    manager = "objects"
