"""The contenders, whose database is some milliseconds away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from django.db.models import Model

import turbo_orm
from benches import names
from benches.round_trips.far import alias, pooled_alias
from benches.small.composed import orms, replay
from turbo_orm.backend.task_connections import async_connections


class Psycopg(replay.Psycopg):
    """psycopg, with the statements of Django's one after the other."""

    def __init__(self, round_trip: float) -> None:
        self.alias = alias(round_trip)


class DjangoAsync(orms.DjangoAsync):
    def __init__(self, round_trip: float) -> None:
        self.alias = alias(round_trip)


class Turbo(orms.Turbo):
    """turbo-orm, over a pool."""

    def __init__(self, round_trip: float) -> None:
        self.alias = pooled_alias(round_trip)

    async def close(self) -> None:
        await async_connections[self.alias].close()

    def prefetch(self, name: str, model: type[Model]) -> Any:
        return name


class TurboPipeline(Turbo):
    """turbo-orm, with what is gathered in a block sent together."""

    name = names.TURBO_PIPELINE

    async def each(self, *calls: Callable[[], Awaitable[Any]]) -> Any:
        async with turbo_orm.async_pipeline(self.alias):
            return await asyncio.gather(*[call() for call in calls])


#: Of a transaction, whose statements have to be independent of each other for the last of them.
KINDS: list[Callable[[float], Any]] = [DjangoAsync, Psycopg, Turbo]
if hasattr(turbo_orm, "async_pipeline"):
    KINDS.append(TurboPipeline)
