"""A chain that begins at a manager, or changes what a row is, stays an AsyncQuerySet."""

from typing import assert_type

from atlas.models import City, Country
from turbo_orm import AsyncQuerySet

ALL = City.objects.all()

assert_type(City.objects.filter(name="x"), AsyncQuerySet[City, City])
assert_type(City.objects.exclude(name="x"), AsyncQuerySet[City, City])
assert_type(City.objects.order_by("name"), AsyncQuerySet[City, City])
assert_type(City.objects.select_related("country"), AsyncQuerySet[City, City])
assert_type(City.objects.using("default"), AsyncQuerySet[City, City])
assert_type(City.objects.values_list("name", flat=True), AsyncQuerySet[City, str])
assert_type(ALL.values_list("name", flat=True), AsyncQuerySet[City, str])
assert_type(ALL.values_list("name", "population"), AsyncQuerySet[City, tuple[str, int]])


async def lists() -> None:
    assert_type(await City.objects.filter(name="x").alist(), list[City])
    assert_type(await City.objects.order_by("name")[:5].alist(), list[City])
    assert_type(await City.objects.values_list("name", flat=True).alist(), list[str])
    assert_type(await ALL.values_list("name", "population").alist(), list[tuple[str, int]])
    country = await Country.objects.select_related("continent").aget(pk="CH")
    assert_type(await country.cities.filter(name="x").alist(), list[City])
