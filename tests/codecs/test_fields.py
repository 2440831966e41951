"""The table of Django's fields: what it says of each is what the field does."""

from datetime import date
from itertools import product
from uuid import UUID

import pytest
from django.db import connection, models
from django.db.models.expressions import Col

from turbo_orm.codecs.dumpers import DUMPED_CLASSES
from turbo_orm.codecs.encoders import _encoder_name
from turbo_orm.codecs.fields import (
    COLUMN_TYPES,
    FIELD_TYPES,
    UNCHANGED_BY,
    pre_saves_attribute,
    pre_saves_repeatedly,
)

OPTIONS = {
    models.DecimalField: {"max_digits": 5, "decimal_places": 2},
    models.FilePathField: {"path": "/"},
}
VALUES = {
    bool: [False, True],
    date: [date(2024, 2, 29)],
    float: [0.0, -1.5],
    int: [0, -1, 7],
    str: ["", " a'%s\\ü "],
    UUID: [UUID(int=7)],
}

FIELD_CLASSES = sorted(
    [(field, each) for each in FIELD_TYPES for field in each.fields],
    key=lambda pair: pair[0].__name__,
)
UNCHANGED = [
    (field, value)
    for class_, fields in UNCHANGED_BY.items()
    for field, value in product(sorted(fields, key=lambda field: field.__name__), VALUES[class_])
]


def made(field_class):
    field = field_class(**OPTIONS.get(field_class, {}))
    field.set_attributes_from_name("field")
    return field


@pytest.mark.parametrize(
    ("field_class", "field_type"), FIELD_CLASSES, ids=[each.__name__ for each, _ in FIELD_CLASSES]
)
def test_each_field_has_the_encoder_of_its_column(field_class, field_type):
    field = made(field_class)
    column_type = field.db_type(connection)
    encoder = field_type.encoders[column_type.partition("(")[0]]
    assert _encoder_name(field, column_type, True) == encoder


@pytest.mark.parametrize(("field_class", "value"), UNCHANGED)
def test_values_that_are_saved_and_compared_unchanged(field_class, value):
    """But for psycopg's types of integers, in which the same number is sent."""
    field = made(field_class)
    for prepared in (
        field.get_db_prep_save(value, connection),
        field.get_lookup("exact")(Col("table", field), value).rhs,
    ):
        assert prepared == value
        assert type(prepared) is type(value) or type(value) is int
        assert isinstance(prepared, type(value))


@pytest.mark.parametrize(
    "field_class", [models.BinaryField, models.FileField, models.GenericIPAddressField]
)
def test_other_fields_have_no_encoder(field_class):
    field = made(field_class)
    assert _encoder_name(field, field.db_type(connection), True) is None


def test_each_encoder_has_a_column():
    names = {encoder for encoder, _ in COLUMN_TYPES.values()}
    # The encoder of "timestamp with time zone" without USE_TZ.
    assert {*DUMPED_CLASSES} == {*names, "timestamp"}


class Stamped(models.DateTimeField):
    def pre_save(self, instance, add):
        return super().pre_save(instance, add)


@pytest.mark.parametrize(
    ("field", "is_attribute", "is_repeatable"),
    [
        (models.IntegerField(), True, True),
        (models.DateTimeField(auto_now=True), True, True),
        (models.FileField(), False, True),
        (models.ImageField(), False, True),
        (Stamped(), False, False),
    ],
    ids=lambda each: getattr(type(each), "__name__", ""),
)
def test_what_pre_save_does(field, is_attribute, is_repeatable):
    assert pre_saves_attribute(field) is is_attribute
    assert pre_saves_repeatedly(field) is is_repeatable


def test_a_pre_save_of_the_field_alone():
    for field in (models.IntegerField(), models.FileField()):
        field.pre_save = lambda instance, add: 7
        assert not pre_saves_attribute(field)
        assert not pre_saves_repeatedly(field)
