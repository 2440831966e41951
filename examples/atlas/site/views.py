"""The pages: by async views, by an async one with lazy loading, and by sync ones on the bridge."""

import asyncio
import json
from collections.abc import AsyncIterator

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import aget_object_or_404, get_object_or_404, render
from django.template.response import TemplateResponse

from atlas.models import City, Country
from atlas.search import page_of_cities
from turbo_orm import lazy_loading

_PAGE = 20


async def cities(request: HttpRequest) -> TemplateResponse:
    """Show a page of the cities that are asked for."""
    page = await page_of_cities(request.GET, _PAGE)
    return TemplateResponse(request, "atlas/cities.html", {"page": page})


@lazy_loading
async def city(request: HttpRequest, geonameid: int) -> HttpResponse:
    """Show a city. Its country is fetched here, the continent and neighbours in the template."""
    found = await aget_object_or_404(City, pk=geonameid)
    neighbours = found.country.cities.exclude(pk=found.pk).order_by("-population", "pk")[:8]
    return render(request, "atlas/city.html", {"city": found, "neighbours": neighbours})


def country(request: HttpRequest, code: str) -> HttpResponse:
    """Show a country and its largest cities."""
    found = get_object_or_404(Country, pk=code.upper())
    largest = found.cities.order_by("-population", "pk")[:12]
    return render(request, "atlas/country.html", {"country": found, "largest": largest})


async def events(request: HttpRequest) -> StreamingHttpResponse:
    """Send a city each second, the most populous first, as server-sent events."""
    return StreamingHttpResponse(
        _largest_first(),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-cache"},
    )


async def _largest_first() -> AsyncIterator[str]:
    largest = City.objects.select_related("country").order_by("-population", "pk")
    rank = 0
    while city := await largest[rank:].afirst():
        rank += 1
        data = {"rank": rank, "name": city.name, "country": city.country.name}
        yield f"data: {json.dumps({**data, 'population': city.population})}\n\n"
        await asyncio.sleep(1)
