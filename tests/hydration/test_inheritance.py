"""Inheritance over several tables, from abstract bases and by proxies, in every shape."""

import pytest
from django.core.exceptions import FieldError
from django.db.models import Count, F, FilteredRelation, Max, Prefetch, Q, Value
from django.db.models.functions import Concat

from tests.library.lineage import (
    Building,
    Inn,
    Landmark,
    Lighthouse,
    Palace,
    QuietPalace,
    Region,
    Ticketed,
    Tour,
)

MODELS = [Building, Inn, Palace, QuietPalace, Lighthouse, Landmark, Ticketed, Tour]

SHAPES = {
    "instances": lambda queryset: queryset,
    "dicts": lambda queryset: queryset.values(),
    "named tuples": lambda queryset: queryset.values_list(named=True),
    "only the key": lambda queryset: queryset.only("pk"),
    "annotated": lambda queryset: queryset.annotate(twice=F("pk") * 2),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_model(model, shape, read):
    read(lambda: SHAPES[shape](model.objects.order_by("pk")))


DOWN = {
    "one level": lambda: Building.objects.select_related("inn"),
    "two levels": lambda: Building.objects.select_related("inn__as_palace"),
    "all levels": lambda: Building.objects.select_related(
        "inn__as_palace", "lighthouse", "cottage"
    ),
    "past the child": lambda: Building.objects.select_related("inn__rival__region"),
    "past the grandchild": lambda: Building.objects.select_related("inn__as_palace__twin__region"),
    "from a second parent": lambda: Landmark.objects.select_related("lighthouse__region"),
    "deferred in the parent": lambda: Building.objects.select_related("inn").defer("facts"),
    "deferred in the child": lambda: Building.objects.select_related("inn").defer("inn__rooms"),
    "only of the parent": lambda: Building.objects.select_related("inn").only("name", "inn__name"),
    "only of the child": lambda: Building.objects.select_related("inn").only("inn__rooms"),
    "only of the grandchild": lambda: Building.objects.select_related("inn__as_palace").only(
        "region", "inn__as_palace__towers"
    ),
    "annotated": lambda: Building.objects.select_related("inn__as_palace").annotate(
        n=Count("tours"), towers=F("inn__as_palace__towers")
    ),
    "a filtered child": lambda: Building.objects.annotate(
        big=FilteredRelation("inn", condition=Q(inn__rooms__gt=0))
    ).select_related("big"),
}


@pytest.mark.parametrize("case", DOWN)
def test_down_to_children(case, read):
    read(lambda: DOWN[case]().order_by("pk"))


UP = {
    "a parent": lambda: Inn.objects.select_related("building_ptr"),
    "a parent by its link": lambda: Palace.objects.select_related("as_inn"),
    "parents of parents": lambda: Palace.objects.select_related("as_inn__building_ptr__region"),
    "a parent and back": lambda: Palace.objects.select_related("as_inn__as_palace"),
    "inherited relations": lambda: Palace.objects.select_related(
        "region", "rival__region", "twin"
    ),
    "of two parents": lambda: Lighthouse.objects.select_related("building_ptr", "landmark_ptr"),
    "only inherited": lambda: Palace.objects.only("name", "rooms"),
    "only its own": lambda: Palace.objects.only("towers"),
    "deferred at each level": lambda: Palace.objects.defer("facts", "rooms", "towers"),
    "deferred relation": lambda: Palace.objects.defer("region", "rival", "twin"),
    "only across": lambda: Palace.objects.select_related("rival", "region").only(
        "name", "rival__name", "region__name"
    ),
    "only a link": lambda: Palace.objects.select_related("as_inn").only("as_inn__rooms"),
    "annotated": lambda: Palace.objects.annotate(
        label=Concat("name", Value("/"), "region__name"), most=Max("rival__rooms")
    ),
    "dicts across": lambda: Palace.objects.values("name", "as_inn__rooms", "building_ptr", "pk"),
    "by a proxy": lambda: QuietPalace.objects.select_related("twin").defer("facts"),
    "to a proxy": lambda: Tour.objects.select_related("palace__region", "inn", "building__inn"),
    "to a proxy, deferred": lambda: Tour.objects.select_related("palace").only(
        "building", "palace__towers", "palace__name"
    ),
    "of an abstract base": lambda: Ticketed.objects.select_related("building__inn").only("number"),
    "one to one, thrice": lambda: Tour.objects.select_related("next__next__next", "previous"),
}


@pytest.mark.parametrize("case", UP)
def test_up_to_parents_and_beside(case, read):
    refused = FieldError if case == "of an abstract base" else None
    read(lambda: UP[case]().order_by("pk"), raises=refused)


OTHERS = {
    "prefetched children": lambda: Region.objects.order_by("pk").prefetch_related(
        Prefetch("buildings", queryset=Building.objects.select_related("inn").order_by("pk"))
    ),
    "prefetched without the key": lambda: Region.objects.order_by("pk").prefetch_related(
        Prefetch("buildings", queryset=Building.objects.only("name").order_by("pk"))
    ),
    "combined": lambda: (
        Inn.objects.filter(rooms=0).union(Inn.objects.filter(rooms=1)).order_by("name")
    ),
    "grouped": lambda: (
        Palace.objects.values("region__name").annotate(n=Count("pk")).order_by("region__name")
    ),
    "through a child": lambda: Building.objects.filter(inn__as_palace__towers__gte=1).order_by(
        "pk"
    ),
    "distinct": lambda: Building.objects.filter(tours__gt=0).distinct().order_by("pk"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_shapes(case, read):
    read(OTHERS[case])
