"""Statements of ones own."""

from typing import assert_type

from atlas.models import City
from turbo_orm import AsyncRawQuerySet

STATEMENT = "SELECT * FROM atlas_city"

assert_type(City.objects.raw(STATEMENT), AsyncRawQuerySet[City])
assert_type(City.objects.all().raw(STATEMENT), AsyncRawQuerySet[City])


async def raw() -> None:
    async for city in City.objects.raw(STATEMENT):
        assert_type(city, City)
    assert_type(await City.objects.raw(STATEMENT).alist(), list[City])
