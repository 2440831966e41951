"""Every field of Django's, in every shape that its values can be read in."""

import inspect

import pytest
from django.apps import apps
from django.contrib.postgres import fields as postgres
from django.contrib.postgres import search
from django.db import models

from tests.library.fields import (
    Arrays,
    Attachment,
    Chapter,
    Grammar,
    Language,
    Lettered,
    OrderLine,
    Picture,
    Ranges,
    Searched,
    Speaker,
    Structured,
    Whole,
)
from tests.library.models import Sample

MODELS = [
    Arrays,
    Attachment,
    Chapter,
    Grammar,
    Language,
    Lettered,
    OrderLine,
    Picture,
    Ranges,
    Sample,
    Searched,
    Speaker,
    Structured,
    Whole,
]

SHAPES = {
    "instances": lambda queryset: queryset,
    "dicts": lambda queryset: queryset.values(),
    "tuples": lambda queryset: queryset.values_list(),
    "named tuples": lambda queryset: queryset.values_list(named=True),
    "deferred": lambda queryset: queryset.only("pk"),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_model(model, shape, read):
    # A name of a named tuple must not begin with an underscore, as "_order" does.
    raises = ValueError if (model, shape) == (Chapter, "named tuples") else None
    read(lambda: SHAPES[shape](model.objects.order_by("pk")), raises=raises)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_its_fields_one_by_one(model, read):
    queryset = model.objects.order_by("pk")
    names = [field.name for field in model._meta.concrete_fields]
    answers = read.each(queryset.values_list(name, flat=True).all for name in names)
    assert all("returned" in answer for answer in answers)


# Bases of other fields, and what no column is made of
NOT_FOR_MODELS = {
    models.Field,
    postgres.RangeField,
    search.SearchQueryField,
}


def is_a_field(member):
    return (
        inspect.isclass(member)
        and issubclass(member, models.Field)
        # Django keeps what migrations of old refer to.
        and member.system_check_removed_details is None
        and not member.__name__.startswith("_")
    )


def test_no_field_is_left_out():
    """A field that a later Django adds has to be added to the models here."""
    there = {
        member
        for module in (models, postgres, search)
        for _, member in inspect.getmembers(module, is_a_field)
    }
    used = {type(field) for model in apps.get_models() for field in model._meta.get_fields()}
    assert there - used == NOT_FOR_MODELS
