"""Views that answer in JSON: async ones, and one that is sync, and runs on the event loop."""

from typing import Any

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import aget_object_or_404, get_object_or_404

from atlas.models import City, Continent, Country
from atlas.search import page_of_cities
from turbo_orm import on_bridge
from turbo_orm.http import ajson_response

_PAGE = 50


async def continents(request: HttpRequest) -> JsonResponse:
    """Answer with all continents."""
    found = Continent.objects.order_by("-population").values("code", "name", "population")
    return JsonResponse({"continents": await found.alist()})


async def cities(request: HttpRequest) -> JsonResponse:
    """Answer with the most populous cities, of a ``?country=JP``, on the ``?page=2``."""
    page = await page_of_cities(request.GET, _PAGE)
    return JsonResponse({"count": page.count, "cities": [_summary(city) for city in page.cities]})


async def all_cities(request: HttpRequest) -> HttpResponseBase:
    """Answer with every city: so many rows are sent while others are received."""
    found = City.objects.order_by("pk").values("geonameid", "name", "country__name", "population")
    return await ajson_response(found, nested=True)


async def countries(request: HttpRequest) -> HttpResponseBase:
    """Answer with all countries, and the three largest cities of each in it."""
    largest = City.objects.order_by("-population", "pk").values("name", "population")[:3]
    found = Country.objects.order_by("pk").values("code", "name", "continent__name")
    return await ajson_response(found, nested={"cities": largest})


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
