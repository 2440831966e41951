"""The two that answer the tour's questions: Django's own async, and turbo-orm.

A question is one function, run with either. What has to be written differently for each is
exactly what a contender holds.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Manager, Model, QuerySet

from atlas.rehearsal import rehearse_awaiting, rehearse_in_thread


@dataclass(frozen=True)
class Contender:
    """A manager of the models, a way to get a list, and a way to have a transaction."""

    name: str
    manager: str
    listed: Callable[[QuerySet[Any]], Awaitable[list[Any]]]
    rehearse: Callable[[str], Awaitable[dict[str, int]]]

    def objects[M: Model](self, model: type[M]) -> Manager[M]:
        """Return the contender's manager of a model."""
        manager: Manager[M] = getattr(model, self.manager)
        return manager


async def _comprehended(queryset: QuerySet[Any]) -> list[Any]:
    return [row async for row in queryset]


async def _listed(queryset: Any) -> list[Any]:
    rows: list[Any] = await queryset.alist()
    return rows


DJANGO = Contender("Django's own async", "threaded", _comprehended, rehearse_in_thread)
TURBO = Contender("turbo-orm", "objects", _listed, rehearse_awaiting)
