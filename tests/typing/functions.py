"""Functions that are decorated, and functions that are called, keep their types."""

from collections.abc import AsyncIterator
from typing import Any, assert_type

from django.http import HttpRequest, HttpResponse

from atlas.models import City
from turbo_orm import cache_info, in_thread, lazy_loading, on_bridge, pool_stats, run_sync
from turbo_orm.explain.pool import PoolStats
from turbo_orm.http import ajson_response
from turbo_orm.query_cache.statistics import CacheInfo


@lazy_loading
async def described(name: str) -> str:
    return (await City.objects.aget(name=name)).country.name


@lazy_loading
async def names(number: int) -> AsyncIterator[str]:
    async for city in City.objects.all()[:number]:
        yield city.name


@on_bridge
def largest(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(City.objects.count()))


@in_thread
def export(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def count(least: int) -> int:
    return City.objects.filter(population__gt=least).count()


async def functions(request: HttpRequest) -> None:
    assert_type(await described("x"), str)
    assert_type([name async for name in names(3)], list[str])
    assert_type(largest(request), HttpResponse)
    assert_type(export(request), HttpResponse)
    assert_type(await run_sync(count, 3), int)
    assert_type(cache_info(), CacheInfo)
    assert_type(pool_stats(), PoolStats | None)
    rows: Any = City.objects.values("name")
    response: HttpResponse | Any = await ajson_response(rows)
    assert response.status_code
    described(1)  # type: ignore[arg-type, unused-coroutine]
