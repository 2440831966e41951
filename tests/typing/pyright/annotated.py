"""Without a plugin, as Pylance and pyright: a manager says whose it is by an annotation."""

from typing import Any, ClassVar, assert_type

from django.db import models

from turbo_orm import AsyncManager, AsyncQuerySet, AsyncRawQuerySet


class CityQuerySet(AsyncQuerySet["City"]):
    async def alargest(self) -> "City | None":
        return await self.order_by("-population").afirst()


class CityManager(AsyncManager["City"]):
    async def alargest(self) -> "City | None":
        return await self.order_by("-population").afirst()


class City(models.Model):
    name = models.CharField(max_length=200)
    population = models.IntegerField()

    objects: ClassVar[AsyncManager["City"]] = AsyncManager()
    large: ClassVar[CityManager] = CityManager()


ALL = City.objects.all()

assert_type(City.objects, AsyncManager[City])
assert_type(ALL, AsyncQuerySet[City, City])
assert_type(ALL.filter(name="x").order_by("name")[:5], AsyncQuerySet[City, City])
assert_type(City.objects.select_related("country"), AsyncQuerySet[City, City])
assert_type(ALL.values("name"), AsyncQuerySet[City, dict[str, Any]])
assert_type(City.objects.raw("SELECT 1"), AsyncRawQuerySet[City])


async def reading() -> None:
    assert_type(await City.objects.aget(pk=1), City)
    assert_type(await ALL.aget(pk=1), City)
    assert_type(await City.objects.filter(name="x").afirst(), City | None)
    assert_type(await City.objects.alist(), list[City])
    assert_type(await ALL.exclude(name="x").alist(), list[City])
    assert_type(await ALL.values("name").alist(), list[dict[str, Any]])
    assert_type(await City.objects.raw("SELECT 1").alist(), list[City])
    assert_type(await City.objects.acount(), int)
    assert_type(await ALL.aexists(), bool)
    assert_type(await City.large.alargest(), City | None)
    async for city in ALL:
        assert_type(city, City)
    async for city in City.objects.aiterator(chunk_size=10):
        assert_type(city, City)


async def as_json() -> None:
    assert_type(await ALL.values("name").ajson(), bytes)
    assert_type(await ALL.values("name").ajson(nested=True), bytes)
    assert_type([part async for part in ALL.values("name").ajson_chunks()], list[bytes])


async def writing() -> None:
    assert_type(await City.objects.acreate(name="x"), City)
    assert_type(await City.objects.aget_or_create(name="x"), tuple[City, bool])
    assert_type(await City.objects.abulk_create([City()]), list[City])
    assert_type(await ALL.aupdate(name="x"), int)
    assert_type(await ALL.adelete(), tuple[int, dict[str, int]])


async def mistakes() -> None:
    (await City.objects.afirst()).name  # type: ignore  # noqa: B018
    City.objects.adelete  # type: ignore  # noqa: B018
