"""Whatever a session sends, and whoever loads it: values and exceptions are those of Django."""

import json
import traceback
from contextlib import nullcontext
from datetime import UTC
from decimal import Decimal

import pytest
from django.db import DataError, connection, connections
from django.db.models import (
    BinaryField,
    BooleanField,
    CharField,
    DateField,
    DateTimeField,
    DecimalField,
    DurationField,
    FloatField,
    IntegerField,
    JSONField,
    TextField,
    TimeField,
    UUIDField,
)
from django.db.models.expressions import RawSQL
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from psycopg.adapt import Loader
from psycopg.types.json import set_json_loads

from tests.library.fields import Arrays, Ranges, Structured
from tests.library.models import Author, Sample
from tests.support.answers import django_answer, turbo_answer
from tests.support.querysets import QUERYSETS
from tests.support.reconnecting import start_anew
from tests.support.selecting import selected
from turbo_orm.driver import libpq

pytestmark = pytest.mark.usefixtures("library")


def in_session(steps):
    """Return steps that change a session, and so keep their connection from the pool."""

    async def inside(orm):
        async with orm.session():
            return await steps(orm)

    return inside


def execute(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


# Values that Python does not have, or that are not sent every day

VALUES = {
    "infinity": ("'infinity'::timestamptz", DateTimeField()),
    "-infinity": ("'-infinity'::timestamptz", DateTimeField()),
    "a timestamp of infinity": ("'infinity'::timestamp", DateTimeField()),
    "a date of infinity": ("'infinity'::date", DateField()),
    "before Christ": ("'0044-03-15 12:00 BC'::timestamptz", DateTimeField()),
    "a date before Christ": ("'0044-03-15 BC'::date", DateField()),
    "a year of five digits": ("'12026-01-01'::timestamptz", DateTimeField()),
    "a date of five digits": ("'12026-01-01'::date", DateField()),
    "midnight at the end": ("'24:00:00'::time", TimeField()),
    "a time with a zone": ("'12:00:00+02:30'::timetz", TimeField()),
    "a timestamp": ("'2026-01-02 03:04:05.678'::timestamp", DateTimeField()),
    "NaN": ("'NaN'::numeric", DecimalField()),
    "Infinity": ("'Infinity'::numeric", DecimalField()),
    "-Infinity": ("'-Infinity'::numeric", DecimalField()),
    "a numeric of many digits": ("10::numeric ^ 5000", DecimalField()),
    "a numeric for an integer": ("1.5::numeric", IntegerField()),
    "a float for a decimal": ("1.5::float8", DecimalField(max_digits=5, decimal_places=2)),
    "a float of NaN": ("'NaN'::float8", FloatField()),
    "the smallest float": ("'5e-324'::float8", FloatField()),
    "a float of four bytes": ("'0.1'::float4", FloatField()),
    "minus zero": ("'-0'::float8", FloatField()),
    "a span of years": ("'3 years 2 mons -4 days 05:06:07.89'::interval", DurationField()),
    "a long span": ("'1000000000 days'::interval", DurationField()),
    "a span of many hours": ("make_interval(hours => 3000000)", DurationField()),
    "a negative span": ("'-00:00:00.000001'::interval", DurationField()),
    "an infinite span": ("'infinity'::interval", DurationField()),
    "no value": ("NULL", TextField()),
    "a boolean": ("true", BooleanField()),
    "a char": ("'x'::\"char\"", CharField()),
    "padded characters": ("'x'::char(5)", CharField()),
    "a name": ("'x'::name", CharField()),
    "an oid": ("4294967295::oid", IntegerField()),
    "an array of integers": ("ARRAY[1, NULL, 3]", TextField()),
    "an array of texts": ("ARRAY['a', 'b,c', NULL]", TextField()),
    "a record": ("ROW(1, 'a')", TextField()),
    "a range": ("int4range(1, 5)", TextField()),
    "an address": ("'192.168.0.1/24'::inet", TextField()),
    "a bit string": ("B'101'", TextField()),
    "a point": ("point(1, 2)", TextField()),
    "money": ("'1.50'::money", TextField()),
    "a type of the catalogue": ("'pg_class'::regclass", TextField()),
    "an enum": ("'x'::text COLLATE \"C\"", TextField()),
    "nothing": ("pg_sleep(0)", TextField()),
    "an uuid as a text": ("gen_random_uuid()::text = ''", UUIDField()),
    "text that is no uuid": ("'x'::text", UUIDField()),
    "bytes": ("'\\x00ff'::bytea", BinaryField()),
    "json": ('\'{"a": [1, 2.50, null], "a": 1}\'::json', JSONField()),
    "jsonb": ("'{\"a\": [1, 2.50, null]}'::jsonb", JSONField()),
    "deep json": (f"'{'[' * 400}{']' * 400}'::jsonb", JSONField()),
    "too deep json": ("(repeat('[', 6000) || repeat(']', 6000))::json", JSONField()),
    "a large number in json": ("('1' || repeat('0', 100))::jsonb", JSONField()),
    "too large a number in json": ("('1' || repeat('0', 5000))::jsonb", JSONField()),
    "a large float in json": ("'1e400'::jsonb", JSONField()),
    "an exponent in json": ("'1e5'::json", JSONField()),
    "minus zero in json": ("'-0'::json", JSONField()),
    "a lone surrogate in json": (r"""'"\ud83d"'::json""", JSONField()),
    "a pair of surrogates in json": (r"""'"\ud83d\ude00"'::json""", JSONField()),
    "json in a text field": ("'{\"a\": 1}'::jsonb", TextField()),
    "a text in a json field": ("'[1]'::text", JSONField()),
    "a text that is no json": ("'[1'::text", JSONField()),
    "a number in a json field": ("1", JSONField()),
    "empty text in a json field": ("''::text", JSONField()),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_value(case, run):
    queryset = selected(*VALUES[case])
    expected = django_answer(lambda: list(queryset.all()))
    assert run(lambda: turbo_answer(queryset.all().alist)) == expected


RAISE = [case for case in VALUES if "infinity" in case or "Christ" in case or "five" in case]


@pytest.mark.parametrize("case", RAISE)
def test_an_exception_of_the_driver_says_which_field_it_was(case, run):
    """It is the cause of Django's, so its note is part of what is printed."""
    with pytest.raises(DataError) as caught:
        run(selected(*VALUES[case]).alist)
    printed = "".join(traceback.format_exception(caught.value))
    assert 'turbo-orm: library.Author, field "x", column 0, row 0\n' in printed


# Settings of the session

SETTINGS = {
    "DateStyle German": "SET DateStyle = 'German'",
    "DateStyle SQL": "SET DateStyle = 'SQL, DMY'",
    "DateStyle Postgres": "SET DateStyle = 'Postgres, MDY'",
    "DateStyle ISO, DMY": "SET DateStyle = 'ISO, DMY'",
    "IntervalStyle iso_8601": "SET IntervalStyle = 'iso_8601'",
    "IntervalStyle postgres_verbose": "SET IntervalStyle = 'postgres_verbose'",
    "IntervalStyle sql_standard": "SET IntervalStyle = 'sql_standard'",
    "TimeZone Chicago": "SET TimeZone = 'America/Chicago'",
    "TimeZone of half an hour": "SET TimeZone = 'Asia/Kolkata'",
    "TimeZone by offset": "SET TimeZone = '-03:30'",
    "TimeZone Etc/UTC": "SET TimeZone = 'Etc/UTC'",
    "bytea_output escape": "SET bytea_output = 'escape'",
    "extra_float_digits": "SET extra_float_digits = -5",
    "client_encoding LATIN1": "SET client_encoding = 'LATIN1'",
    "client_encoding SQL_ASCII": "SET client_encoding = 'SQL_ASCII'",
    "lc_numeric": "SET lc_monetary = 'C'",
}

FIELDS = [
    field.attname for field in Sample._meta.concrete_fields if field.attname not in {"id", "text"}
]


@pytest.mark.parametrize("case", SETTINGS)
def test_a_setting_of_the_session(case, play):
    """Field by field, and row by row, since the first that cannot be read hides the others."""

    async def steps(orm):
        found = []
        try:
            await orm.run(lambda: execute(SETTINGS[case]))
            for pk in [sample.pk for sample in await orm.list(Sample.objects.only("pk"))]:
                for name in FIELDS:
                    queryset = Sample.objects.filter(pk=pk).values_list(name, flat=True)
                    try:
                        found.append((name, await orm.list(queryset)))
                    except Exception as exc:
                        found.append((name, type(exc), str(exc)))
        finally:
            await orm.close()
        return found

    answer = play(in_session(steps))
    assert len(answer["returned"][2]) > 7 * len(FIELDS) - 1


@pytest.mark.parametrize("case", SETTINGS)
def test_instances_under_a_setting_of_the_session(case, play):
    async def steps(orm):
        try:
            await orm.run(lambda: execute(SETTINGS[case]))
            return await orm.list(Author.objects.filter(name__in=["Ada", "Bo"]))
        finally:
            await orm.close()

    play(in_session(steps))


@pytest.mark.parametrize("case", SETTINGS)
@pytest.mark.parametrize("model", [Arrays, Ranges, Structured], ids=lambda model: model.__name__)
def test_what_is_in_arrays_and_ranges_under_a_setting(model, case, play):
    async def steps(orm):
        found = []
        try:
            await orm.run(lambda: execute(SETTINGS[case]))
            for field in model._meta.concrete_fields:
                queryset = model.objects.order_by("pk").values_list(field.name, flat=True)
                try:
                    found.append((field.name, await orm.list(queryset)))
                except Exception as exc:
                    found.append((field.name, type(exc), str(exc)))
        finally:
            await orm.close()
        return found

    play(in_session(steps))


ZONES = [
    {"USE_TZ": True, "TIME_ZONE": "America/Chicago"},
    {"USE_TZ": False, "TIME_ZONE": "America/Chicago"},
    {"USE_TZ": False, "TIME_ZONE": "UTC"},
]
MOMENTS = Sample.objects.filter(moment__year__range=(1000, 9000)).order_by("pk")


@pytest.mark.parametrize("zones", ZONES, ids=str)
def test_time_zones_of_the_settings(zones, run):
    with override_settings(**zones):
        expected = django_answer(lambda: list(MOMENTS.all()))
        assert run(lambda: turbo_answer(MOMENTS.all().alist)) == expected
    assert len(expected["returned"][2]) == 1


@pytest.mark.parametrize("zones", ZONES, ids=str)
def test_time_zones_that_are_set_while_a_task_is_connected(zones, run):
    async def ask():
        before = await turbo_answer(MOMENTS.all().alist)
        with override_settings(**zones):
            return before, await turbo_answer(MOMENTS.all().alist)

    before = django_answer(lambda: list(MOMENTS.all()))
    with override_settings(**zones):
        after = django_answer(lambda: list(MOMENTS.all()))
    assert run(ask) == (before, after)


@pytest.mark.parametrize("is_logged", [False, True], ids=["direct", "by Django's cursor"])
@pytest.mark.parametrize("zones", ZONES, ids=str)
def test_time_zones_that_are_set_while_a_statement_is_cached(zones, is_logged, run):
    """The loader of timestamps may be that of the cursor, and not of its connection."""

    async def ask():
        with CaptureQueriesContext(connection) if is_logged else nullcontext():
            before = [await MOMENTS.all().alist() for _ in range(3)]
            with override_settings(**zones):
                during = [await MOMENTS.all().alist() for _ in range(3)]
            return shown(before), shown(during), shown([await MOMENTS.all().alist()])

    before = shown([list(MOMENTS.all())] * 3)
    with override_settings(**zones):
        during = shown([list(MOMENTS.all())] * 3)
    assert run(ask) == (before, during, before[:1])


def shown(answers):
    return [[repr(sample.moment) for sample in samples] for samples in answers]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Chicago", "UTC"])
def test_the_time_zone_of_a_database(zone, run, monkeypatch):
    monkeypatch.setitem(connections["default"].settings_dict, "TIME_ZONE", zone)
    start_anew()
    try:
        expected = django_answer(lambda: list(MOMENTS.all()))
        assert run(lambda: turbo_answer(MOMENTS.all().alist)) == expected
    finally:
        monkeypatch.undo()
        start_anew()
    shown = dict(expected["returned"][2][0][1])["moment"]
    assert str(shown[2]) == zone


# Loaders and converters of ones own


class ShoutingLoader(Loader):
    def load(self, data):
        return bytes(data).decode().upper() + "!"


class ShoutingTimeZoneLoader(ShoutingLoader):
    # Django looks for it.
    timezone = UTC


LOADED = {
    "text": ("varchar", Author.objects.filter(name="Ada").values_list("name")),
    "int": ("int8", Author.objects.filter(name="Ada").values_list("pk")),
    "numeric": ("numeric", Sample.objects.order_by("pk").values_list("amount")),
    "date": ("date", Author.objects.values_list("born")),
    "timestamptz": ("timestamptz", MOMENTS.values_list("moment")),
    "uuid": ("uuid", Sample.objects.order_by("pk").values_list("key")),
    "jsonb": ("jsonb", Sample.objects.order_by("pk").values_list("data__a")),
}


@pytest.mark.parametrize("case", LOADED)
def test_a_loader_that_is_registered_wins(case, play):
    type_name, queryset = LOADED[case]

    async def steps(orm):
        def register():
            connection.ensure_connection()
            loader = ShoutingTimeZoneLoader if type_name == "timestamptz" else ShoutingLoader
            connection.connection.adapters.register_loader(type_name, loader)

        try:
            await orm.run(register)
            return await orm.list(queryset.all())
        finally:
            await orm.close()

    assert "!" in str(play(in_session(steps))["returned"])


def loads(text):
    return {"loaded": json.loads(text, parse_float=Decimal)}


@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize("type_name", ["json", "jsonb"])
def test_set_json_loads(everywhere, type_name, play):
    queryset = selected(f"'[1.50]'::{type_name}", TextField())

    async def steps(orm):
        def change():
            connection.ensure_connection()
            set_json_loads(loads, None if everywhere else connection.connection)

        try:
            await orm.run(change)
            return await orm.list(queryset.all())
        finally:
            set_json_loads(json.loads)
            await orm.close()

    play(in_session(steps))


class PointDecoder(json.JSONDecoder):
    def decode(self, text):
        return ("decoded", super().decode(text))


class JSONOfOnesOwn(JSONField):
    def from_db_value(self, value, expression, connection):
        return ("from_db_value", super().from_db_value(value, expression, connection))


JSON_FIELDS = {
    "a decoder": JSONField(decoder=PointDecoder),
    "a field of ones own": JSONOfOnesOwn(),
    "a plain one": JSONField(),
}


@pytest.mark.parametrize("case", JSON_FIELDS)
@pytest.mark.parametrize("expression", ["data", "data::json", "data::text", "1"])
def test_json_fields(case, expression, run):
    raw = RawSQL(expression, [], output_field=JSON_FIELDS[case])
    queryset = Sample.objects.order_by("pk").annotate(x=raw).values_list("x", flat=True)
    expected = django_answer(lambda: list(queryset.all()))
    assert run(lambda: turbo_answer(queryset.all().alist)) == expected


# Without libpq


@pytest.mark.parametrize("case", QUERYSETS)
def test_without_libpq_rows_are_read_from_tuples(case, run, monkeypatch):
    monkeypatch.setattr(libpq, "bind", lambda: False)
    queryset, ours = QUERYSETS[case](), QUERYSETS[case]()
    expected = django_answer(lambda: list(queryset))
    assert run(lambda: turbo_answer(ours.alist)) == expected


@pytest.mark.parametrize("case", VALUES)
def test_without_libpq_values_are_the_same(case, run, monkeypatch):
    monkeypatch.setattr(libpq, "bind", lambda: False)
    queryset = selected(*VALUES[case])
    expected = django_answer(lambda: list(queryset.all()))
    assert run(lambda: turbo_answer(queryset.all().alist)) == expected


def test_without_libpq_a_cursor_on_the_server_works(run, monkeypatch):
    monkeypatch.setattr(libpq, "bind", lambda: False)

    async def iterate():
        return [sample async for sample in Sample.objects.order_by("pk").aiterator(chunk_size=2)]

    assert run(iterate) == list(Sample.objects.order_by("pk"))
