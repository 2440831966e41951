"""Whole queries over 34,000 cities: Django's own async beside turbo-orm, in one run.

Each benchmark checks its answer against Django's sync one before it times it.
"""

import pytest

from atlas.contender import DJANGO, TURBO, Contender
from atlas.models import City
from benches.conftest import Task

pytestmark = pytest.mark.usefixtures("atlas")

NARROW = ("geonameid", "name", "population", "added")

LISTS = {
    "instances": lambda objects: objects.order_by("pk"),
    "narrow instances": lambda objects: objects.only(*NARROW).order_by("pk"),
    "select_related": lambda objects: objects.select_related("country").order_by("pk"),
    "values": lambda objects: objects.order_by("pk").values(),
    "narrow values": lambda objects: objects.order_by("pk").values(*NARROW),
    "values_list": lambda objects: objects.order_by("pk").values_list(),
    "narrow values_list": lambda objects: objects.order_by("pk").values_list(*NARROW),
    "flat": lambda objects: objects.order_by("pk").values_list("name", flat=True),
    "twenty": lambda objects: objects.order_by("pk")[:20],
}


@pytest.mark.parametrize("contender", [DJANGO, TURBO], ids=lambda contender: contender.name)
@pytest.mark.parametrize("name", LISTS)
def test_list(benchmark, task: Task, name: str, contender: Contender) -> None:
    benchmark.group = name
    make = LISTS[name]
    asked = make(contender.objects(City))

    async def ask() -> list:
        return await contender.listed(asked.all())

    assert task.run(ask) == list(make(DJANGO.objects(City)))
    benchmark.pedantic(lambda: task.run(ask), rounds=7, warmup_rounds=1)


@pytest.mark.parametrize("contender", [DJANGO, TURBO], ids=lambda contender: contender.name)
def test_get(benchmark, task: Task, contender: Contender) -> None:
    benchmark.group = "200 × aget"
    keys = list(City.threaded.order_by("pk").values_list("pk", flat=True)[:200])

    async def ask() -> list:
        return [await contender.objects(City).aget(pk=key) for key in keys]

    assert task.run(ask) == list(City.threaded.order_by("pk")[:200])
    benchmark.pedantic(lambda: task.run(ask), rounds=7, warmup_rounds=1)
