"""Querysets and managers of ones own."""

from __future__ import annotations

from typing import Self, assert_type

from atlas.models import City
from turbo_orm import AsyncManager, AsyncQuerySet


class CityQuerySet(AsyncQuerySet[City]):
    def large(self) -> Self:
        return self.filter(population__gt=1_000_000)

    async def alargest(self) -> City | None:
        return await self.order_by("-population").afirst()


class CityManager(AsyncManager[City]):
    def get_queryset(self) -> AsyncQuerySet[City, City]:
        return super().get_queryset().exclude(name="")


CityManagerFromQuerySet = AsyncManager.from_queryset(CityQuerySet)


async def own(queryset: CityQuerySet, manager: CityManager) -> None:
    assert_type(queryset.large(), CityQuerySet)
    assert_type(await queryset.large().alist(), list[City])
    assert_type(await queryset.large().alargest(), City | None)
    assert_type(await manager.aget(pk=1), City)
    assert_type(await manager.alist(), list[City])
