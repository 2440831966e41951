"""Views that answer in JSON: async ones, and one that is sync, and runs on the event loop."""

import asyncio
import re
from typing import Any

from django.core.exceptions import BadRequest
from django.http import HttpRequest, JsonResponse
from django.shortcuts import aget_object_or_404, get_object_or_404

from atlas.models import City, Continent, Country
from turbo_orm import on_bridge

_PAGE = 50


async def continents(request: HttpRequest) -> JsonResponse:
    """Answer with all continents."""
    found = Continent.objects.order_by("-population").values("code", "name", "population")
    return JsonResponse({"continents": await found.alist()})


async def cities(request: HttpRequest) -> JsonResponse:
    """Answer with the most populous cities, of a ``?country=JP``, on the ``?page=2``.

    How many there are is counted at the same time, on another connection.
    """
    number = request.GET.get("page", "1")
    if not re.fullmatch("[1-9][0-9]{0,3}", number):
        raise BadRequest(f"{number!r} is not the number of a page")
    found = City.objects.select_related("country").order_by("-population", "pk")
    if code := request.GET.get("country"):
        found = found.filter(country=code.upper())
    end = int(number) * _PAGE
    count, page = await asyncio.gather(found.acount(), found[end - _PAGE : end].alist())
    return JsonResponse({"count": count, "cities": [_summary(city) for city in page]})


async def city(request: HttpRequest, geonameid: int) -> JsonResponse:
    """Answer with all that is known of a city."""
    found = await aget_object_or_404(
        City.objects.select_related("country__continent"), pk=geonameid
    )
    return JsonResponse(
        {
            **_summary(found),
            "continent": found.country.continent.name,
            "latitude": found.latitude,
            "longitude": found.longitude,
            "timezone": found.timezone,
            "alternate_names": found.alternate_names,
        }
    )


@on_bridge
def country(request: HttpRequest, code: str) -> JsonResponse:
    """Answer with a country and its largest cities.

    A sync view like any other: what it touches is fetched, and the event loop goes on meanwhile.
    """
    found = get_object_or_404(Country, pk=code.upper())
    largest = found.cities.order_by("-population", "pk")[:10]
    return JsonResponse(
        {
            "code": found.code,
            "name": found.name,
            "capital": found.capital,
            "continent": found.continent.name,
            "cities": [city.name for city in largest],
        }
    )


def _summary(city: City) -> dict[str, Any]:
    return {
        "id": city.pk,
        "name": city.name,
        "country": city.country.name,
        "population": city.population,
    }
