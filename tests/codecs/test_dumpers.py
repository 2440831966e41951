"""Native encoders replace psycopg's default dumpers, and no others."""

import pytest
from django.db import connection
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.types.numeric import IntDumper
from psycopg.types.string import StrDumper

from turbo_orm._core import Encoder, Literals
from turbo_orm.codecs.dumpers import (
    DEFAULT_DUMPERS,
    DUMPED_CLASSES,
    SAME_EQUALITY,
    has_default_dumper,
)


class Shouting(StrDumper):
    def dump(self, obj):
        return super().dump(obj.upper())


@pytest.mark.parametrize("class_", sorted(DEFAULT_DUMPERS, key=lambda each: each.__name__))
def test_django_registers_no_other_dumper(class_, tables):
    connection.ensure_connection()
    assert has_default_dumper(connection.connection.adapters, class_)


@pytest.mark.parametrize("dumper", [Shouting, StrDumper], ids=["own", "psycopg's"])
def test_another_dumper(dumper: type[Dumper], driver):
    """One of psycopg's own is none of its defaults either: this one sends the type text."""
    adapters = AdaptersMap(driver.adapters)
    adapters.register_dumper(str, dumper)
    assert not has_default_dumper(adapters, str)
    assert has_default_dumper(adapters, int)
    assert has_default_dumper(driver.adapters, str)


def test_the_table_names_what_the_core_has():
    for encoder, classes in DUMPED_CLASSES.items():
        assert Encoder(encoder).name == encoder
        assert Literals([(class_, IntDumper, encoder) for class_ in classes])
    assert {*DUMPED_CLASSES} > SAME_EQUALITY
