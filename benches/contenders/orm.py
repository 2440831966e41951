"""The contenders that are Django's ORM: Django itself, django-async-backend, and turbo-orm."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections
from django.db.models import Model, QuerySet

from benches.contenders.contender import Contender, Query
from benches.shape import Shape


@dataclass(frozen=True)
class Orm(Contender):
    """A manager of the models, and a way to have a queryset's results in a list."""

    name: str
    manager: str
    listed: Callable[[QuerySet[Any, Any]], Any]
    is_async: bool = True

    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        objects = getattr(model, self.manager)
        listed, queryset = self.listed, shape.queryset
        return lambda: listed(queryset(objects)[:rows])


class ThreadedOrm(Orm):
    """Django's own async, whose connection belongs to the thread that it hops to."""

    async def close(self) -> None:
        await sync_to_async(connections.close_all)()


async def _comprehended(queryset: QuerySet[Any, Any]) -> list[Any]:
    return [row async for row in queryset]


def _awaited(queryset: Any) -> Any:
    return queryset.alist()


DJANGO_SYNC = Orm("Django sync", "threaded", list, is_async=False)
DJANGO_ASYNC = ThreadedOrm("Django async", "threaded", _comprehended)
BACKEND = Orm("django-async-backend", "backend", _comprehended)
TURBO_SYNC = Orm("turbo-orm sync", "objects", list, is_async=False)
TURBO = Orm("turbo-orm", "objects", _awaited)
