"""What each terminal returns."""

from typing import Any, assert_type

from django.db.models import Count

from atlas.models import City, Country
from turbo_orm import AsyncManager, AsyncQuerySet

ALL = City.objects.all()

assert_type(City.objects, AsyncManager[City])
assert_type(ALL, AsyncQuerySet[City, City])


async def reading() -> None:
    assert_type(await City.objects.aget(pk=1), City)
    assert_type(await City.objects.afirst(), City | None)
    assert_type(await City.objects.alast(), City | None)
    assert_type(await City.objects.alatest("name"), City)
    assert_type(await City.objects.aearliest("name"), City)
    assert_type(await City.objects.alist(), list[City])
    assert_type(await City.objects.acount(), int)
    assert_type(await City.objects.aexists(), bool)
    assert_type(await City.objects.acontains(City()), bool)
    assert_type(await City.objects.ain_bulk([1]), dict[Any, City])
    assert_type(await City.objects.aaggregate(n=Count("pk")), dict[str, Any])
    assert_type(await City.objects.aexplain(), str)


async def reading_from_a_queryset() -> None:
    assert_type(await ALL.aget(pk=1), City)
    assert_type(await ALL.filter(name="x").aget(), City)
    assert_type(await ALL.filter(name="x").order_by("pk").afirst(), City | None)
    assert_type(await ALL.exclude(name="x").alist(), list[City])
    assert_type(await ALL.select_related("country").reverse().alist(), list[City])
    assert_type(await ALL[:5].alist(), list[City])
    assert_type(await (ALL | ALL).alist(), list[City])
    assert_type(await ALL.values("name").ajson(), bytes)
    assert_type(ALL.values_list("name").json(), bytes)
    assert_type(await ALL.values("country__name").ajson(nested=True), bytes)
    assert_type(await ALL.values("name").ajson(nested={"country": ALL.values("name")}), bytes)
    assert_type([part async for part in ALL.values("name").ajson_chunks()], list[bytes])
    assert_type(await City.objects.filter(name="x").aget(), City)
    assert_type(await City.objects.filter(name="x").afirst(), City | None)


async def iterating() -> None:
    async for city in ALL:
        assert_type(city, City)
    async for city in City.objects.filter(name="x"):
        assert_type(city, City)
    async for city in ALL.aiterator(chunk_size=10):
        assert_type(city, City)
    async for city in City.objects.aiterator():
        assert_type(city, City)
    async for name in ALL.values_list("name", flat=True):
        assert_type(name, str)
    for city in ALL:
        assert_type(city, City)


async def writing() -> None:
    assert_type(await City.objects.acreate(name="x"), City)
    assert_type(await City.objects.aget_or_create(name="x"), tuple[City, bool])
    assert_type(await City.objects.aupdate_or_create(name="x"), tuple[City, bool])
    assert_type(await City.objects.abulk_create([City()]), list[City])
    assert_type(await City.objects.abulk_update([City()], ["name"]), int)
    assert_type(await City.objects.aupdate(name="x"), int)
    assert_type(await ALL.adelete(), tuple[int, dict[str, int]])


async def related() -> None:
    country = await Country.objects.aget(pk="CH")
    assert_type(await country.cities.acount(), int)
    assert_type(await country.cities.alist(), list[City])
    assert_type(await country.cities.all().alist(), list[City])
    assert_type(await country.cities.acreate(name="x"), City)
    async for city in country.cities.all():
        assert_type(city.country, Country)


async def mistakes() -> None:
    # Each has to be one, or its comment is an error.
    await City.objects.aget(nope=1)  # type: ignore[misc]
    City.objects.filter(nope=1)  # type: ignore[misc]
    City.objects.adelete  # type: ignore[attr-defined]  # noqa: B018
    City.objects.aget(pk=1)  # type: ignore[unused-coroutine]
    (await City.objects.afirst()).name  # type: ignore[union-attr]  # noqa: B018
