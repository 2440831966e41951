"""The atlas as JSON, by ``turbo_orm.asgi``: no view of it needs a thread."""

import json

import pytest
from django.test import override_settings

from atlas.models import City, Continent, Country
from tests.support.asgi_client import answer
from turbo_orm.asgi import get_asgi_application

NAMES = ["Ōsaka", "Tōkyō", "Nagoya"]


@pytest.fixture
def loaded(tables):
    continent = Continent.objects.create(code="AS", name="Asia", population=4_641_054_775)
    country = Country.objects.create(
        code="JP", iso3="JPN", name="Japan", continent=continent, population=1, area_km2=1
    )
    cities = [
        City(
            geonameid=key,
            name=name,
            country=country,
            latitude=35,
            longitude=139,
            population=1000 * key,
        )
        for key, name in enumerate(NAMES, start=1)
    ]
    City.objects.bulk_create(cities)
    yield
    for model in (City, Country, Continent):
        model.objects.all().delete()


@pytest.fixture
def ask(loaded, run):
    """Return a function that asks for a path on an event loop from which nothing may hop."""

    def ask(path):
        middleware = ["django.middleware.common.CommonMiddleware"]
        with override_settings(
            ROOT_URLCONF="atlas.urls", MIDDLEWARE=middleware, ALLOWED_HOSTS=["localhost"]
        ):
            application = get_asgi_application()
            status, body = run(lambda: answer(application, path))
        return json.loads(body) if status == 200 else status

    return ask


def names(answer):
    return answer["count"], [city["name"] for city in answer["cities"]]


def test_cities(ask):
    largest_first = (3, ["Nagoya", "Tōkyō", "Ōsaka"])
    assert names(ask("/cities/")) == names(ask("/cities/?country=jp")) == largest_first
    assert names(ask("/cities/?country=KE")) == (0, [])
    assert names(ask("/cities/?page=2")) == (3, [])
    assert names(ask("/cities/?q=NAGO")) == (1, ["Nagoya"])
    broken = ["page=0", "page=x", f"page={'9' * 99}", "q=%00", "country=JPN"]
    assert [ask(f"/cities/?{query}") for query in broken] == [400] * len(broken)


def test_all_cities(ask):
    first = {"geonameid": 1, "name": "Ōsaka", "country": {"name": "Japan"}, "population": 1000}
    assert ask("/cities/all/")[0] == first
    assert [city["name"] for city in ask("/cities/all/")] == NAMES


def test_countries(ask):
    cities = [{"name": name, "population": 1000 * (3 - i)} for i, name in enumerate(NAMES[::-1])]
    (found,) = ask("/countries/")
    assert found == {
        "code": "JP",
        "name": "Japan",
        "continent": {"name": "Asia"},
        "cities": cities,
    }


def test_a_city(ask):
    found = ask("/cities/2/")
    assert found["id"] == 2
    assert (found["name"], found["country"], found["continent"]) == ("Tōkyō", "Japan", "Asia")
    assert (found["latitude"], found["population"]) == ("35.000000", 2000)
    assert ask("/cities/4/") == ask(f"/cities/{2**80}/") == 404


def test_continents(ask):
    (found,) = ask("/continents/")["continents"]
    assert found == {"code": "AS", "name": "Asia", "population": 4_641_054_775}


def test_a_country_by_a_sync_view(ask):
    found = ask("/countries/jp/")
    assert (found["name"], found["continent"]) == ("Japan", "Asia")
    assert found["cities"] == ["Nagoya", "Tōkyō", "Ōsaka"]
    assert ask("/countries/XX/") == 404
