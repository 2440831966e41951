"""The tour: real questions, each asked in one function that both contenders run.

Where an order could be open, the question names one: the answers are compared row by row.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.db.models import Avg, Count, Max, Min, Prefetch, Sum

from atlas import answers
from atlas.contender import Contender
from atlas.models import City, Continent, Country
from atlas.question import Question


async def largest(by: Contender) -> list[City]:
    cities = by.objects(City).select_related("country")
    return [city async for city in cities.order_by("-population", "pk")[:10]]


async def names_of_continents(by: Contender) -> list[tuple[Any, ...]]:
    languages = ("names__ru", "names__hi", "names__zh", "names__ar")
    continents = by.objects(Continent).order_by("-population")
    return [row async for row in continents.values_list("name", *languages)]


async def per_country(by: Contender) -> Sequence[Mapping[str, Any]]:
    countries = by.objects(Country).values("code", "name", "continent__name")
    counted = countries.annotate(
        count=Count("cities"), people=Sum("cities__population"), largest=Max("cities__population")
    )
    return [row async for row in counted.order_by("-count", "code")]


async def totals(by: Contender) -> dict[str, Any]:
    return await by.objects(City).aaggregate(
        cities=Count("pk"),
        people=Sum("population"),
        mean=Avg("population"),
        northernmost=Max("latitude"),
        southernmost=Min("latitude"),
    )


async def one_by_one(by: Contender, keys: Sequence[int]) -> list[City]:
    return [await by.objects(City).aget(pk=key) for key in keys]


async def rehearsal(by: Contender) -> dict[str, int]:
    return await by.rehearse("IN")


async def every_city(by: Contender) -> list[City]:
    return await by.listed(by.objects(City).order_by("pk"))


async def every_city_and_where(by: Contender) -> list[City]:
    cities = by.objects(City).select_related("country__continent")
    # A continent's name in 47 languages is not wanted 34,000 times.
    lean = cities.defer("country__continent__names")
    return [city async for city in lean.order_by("pk")]


async def every_city_below(by: Contender) -> list[Continent]:
    cities = Prefetch("cities", by.objects(City).order_by("-population", "pk"))
    countries = Prefetch("countries", by.objects(Country).prefetch_related(cities))
    continents = by.objects(Continent).prefetch_related(countries)
    return [continent async for continent in continents]


async def every_city_as_tuple(by: Contender) -> list[tuple[Any, ...]]:
    columns = ("geonameid", "name", "population", "added")
    return await by.listed(by.objects(City).order_by("pk").values_list(*columns))


async def every_city_as_dict(by: Contender) -> Sequence[Mapping[str, Any]]:
    columns = ("name", "country_id", "population", "added")
    return await by.listed(by.objects(City).order_by("pk").values(*columns))


async def people_per_timezone(by: Contender) -> answers.Streamed:
    people: Counter[str] = Counter()
    rows = 0
    cities = by.objects(City).only("timezone", "population").order_by("pk")
    async for city in cities.aiterator(chunk_size=2000):
        people[city.timezone] += city.population
        rows += 1
    return answers.Streamed(people, rows)


def tour(keys: Sequence[int]) -> list[Question]:
    """Return the questions in order; the keys are those of the cities to get one by one."""
    return [
        Question(
            "Which are the ten largest cities?",
            'select_related("country"), a slice',
            largest,
            answers.of_cities,
        ),
        Question(
            "What are the continents called?",
            'values_list("name", "names__zh", …) out of a JSON column',
            names_of_continents,
            answers.of_names,
        ),
        Question(
            "Which countries have the most cities?",
            "values().annotate(Count, Sum, Max)",
            per_country,
            answers.of_countries,
        ),
        Question(
            "How many people live in cities?",
            "aaggregate(Count, Sum, Avg, Max, Min)",
            totals,
            answers.of_totals,
            rows=answers.one,
        ),
        Question(
            f"The {len(keys)} largest cities, one by one",
            "aget(pk=…) in a loop",
            partial(one_by_one, keys=keys),
            answers.of_cities,
        ),
        Question(
            "What if India had no cities? Undo it.",
            "adelete() in a transaction that is rolled back",
            rehearsal,
            answers.of_rehearsal,
            rows=answers.deleted,
            reads=False,
        ),
        Question(
            "Every city",
            "instances in a list: turbo-orm's alist()",
            every_city,
            answers.of_cities,
        ),
        Question(
            "Every city, its country and continent",
            'select_related("country__continent").defer(…)',
            every_city_and_where,
            answers.across,
        ),
        Question(
            "Continents, countries and cities below",
            "prefetch_related with nested Prefetch",
            every_city_below,
            answers.of_continents,
            rows=answers.instances_below,
        ),
        Question(
            "Every city as a tuple",
            'values_list("geonameid", "name", "population", "added")',
            every_city_as_tuple,
            answers.of_tuples,
        ),
        Question(
            "Every city as a dict",
            'values("name", "country_id", "population", "added")',
            every_city_as_dict,
            answers.of_dicts,
        ),
        Question(
            "How many people live in each time zone?",
            "a stream: only(…).aiterator(chunk_size=2000)",
            people_per_timezone,
            answers.of_timezones,
            rows=answers.streamed,
        ),
    ]
