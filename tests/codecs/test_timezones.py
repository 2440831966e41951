"""Moments in the time zones that a session can have: clocks that are put back, offsets of old."""

from contextlib import contextmanager
from zoneinfo import ZoneInfo

import pytest
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models import DateField, DateTimeField, Field, Max, TextField, TimeField
from django.db.models.expressions import RawSQL
from django.db.models.functions import Extract, TruncDay, TruncHour
from django.test import override_settings

from tests.library.fields import Arrays
from tests.library.models import Author, Book, Sample
from tests.support.answers import django_answer, turbo_answer
from tests.support.reconnecting import start_anew

# By the settings that lead to a session's time zone
ZONES = {
    "of the database": [
        "UTC",
        "Africa/Monrovia",  # was 44 minutes and 30 seconds off until 1972
        "America/New_York",
        "Asia/Kolkata",
        "Asia/Tokyo",
        "Australia/Lord_Howe",  # puts its clocks forward by half an hour
        "Europe/Dublin",  # has its summer time for standard
        "Pacific/Apia",  # left a day out
    ],
    "of the session": ["UTC", "Etc/UTC", "-03:30", "America/St_Johns", "Europe/Dublin"],
    "of naive moments": ["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"],
    "of aware moments": ["America/New_York"],
}

# Around what some of these zones have changed, and at the ends of what Python knows
MOMENTS = [
    "0001-01-02 00:00+00",
    "1582-10-15 00:00+00",
    "1800-06-01 12:00+00",
    "1883-11-18 16:59:59.999999+00",
    "1883-11-18 17:00+00",
    "1916-05-21 02:00+00",
    "1916-10-01 01:30+00",
    "1945-08-15 03:00+00",
    "1969-12-31 23:59:59.5+00",
    "1970-01-01 00:00+00",
    "1972-01-07 00:44:30+00",
    "2011-12-30 09:59:59+00",
    "2011-12-30 10:00+00",
    "2026-03-08 06:59:59.999999+00",
    "2026-03-08 07:00+00",
    "2026-10-25 00:30+00",
    "2026-10-25 01:30+00",
    "2026-11-01 05:30+00",
    "2026-11-01 06:30+00",
    "2026-04-04 14:45+00",
    "2026-04-04 15:15+00",
    "2038-01-19 03:14:08+00",
    "9999-12-30 23:59:59.999999+00",
]
ENDS = ["0001-01-01 00:00+00", "9999-12-31 23:59:59.999999+00"]
NEVER = ["infinity", "-infinity", "0044-03-15 12:00+00 BC", "12026-01-01 00:00+00"]


@contextmanager
def zoned(kind, zone):
    """Have new connections, sync and async, in a time zone."""

    def set_time_zone(connection, **kwargs):
        with connection.cursor() as cursor:
            cursor.execute(f"SET TIME ZONE '{zone}'")

    of_database = connections["default"].settings_dict
    in_settings = {
        "of naive moments": {"USE_TZ": False, "TIME_ZONE": zone},
        "of aware moments": {"USE_TZ": True, "TIME_ZONE": zone},
    }
    try:
        if kind == "of the database":
            of_database["TIME_ZONE"] = zone
        elif kind == "of the session":
            connection_created.connect(set_time_zone)
        with override_settings(**in_settings.get(kind, {})):
            start_anew()
            yield
    finally:
        of_database["TIME_ZONE"] = None
        connection_created.disconnect(set_time_zone)
        start_anew()


@pytest.fixture(params=[(kind, zone) for kind in ZONES for zone in ZONES[kind]], ids=str)
def zone(request, library):
    with zoned(*request.param):
        yield request.param


def moments(*texts):
    """Return a queryset with a row for each moment, and with what can be made of moments."""
    each = "unnest(ARRAY[{}]::timestamptz[])".format(", ".join(f"'{text}'" for text in texts))
    made = {
        "itself": (each, DateTimeField()),
        "array": (f"ARRAY[{each}, NULL]", ArrayField(DateTimeField())),
        "range": (f"tstzrange(NULL, {each}, '(]')", DateTimeRangeField()),
        "multirange": (f"tstzmultirange(tstzrange({each}, NULL))", Field()),
        "timestamp": (f"{each}::timestamp", DateTimeField()),
        "date": (f"{each}::date", DateField()),
        "time": (f"{each}::time", TimeField()),
        "timetz": (f"{each}::timetz", TimeField()),
        "text": (f"{each}::text", TextField()),
        "record": (f"ROW({each})", Field()),
        "zone": ("current_setting('TimeZone')", TextField()),
    }
    return Author.objects.filter(name="Ada").annotate(
        **{
            name: RawSQL(expression, [], output_field=field)
            for name, (expression, field) in made.items()
        }
    )


def test_moments(zone, read):
    answer = read(lambda: moments(*MOMENTS).values_list(*moments(*MOMENTS).query.annotations))
    rows = answer["returned"][2]
    assert len(rows) == len(MOMENTS)
    kind, name = zone
    assert ("UTC" if kind == "of aware moments" else name) in rows[0][2][-1][1]


def test_an_end_of_time(zone, run):
    """It is beyond the end, and an error, where clocks are ahead of or behind the others."""
    for text in (*ENDS, *NEVER):
        for name in ("itself", "array", "range"):
            queryset = moments(text).values_list(name, flat=True)
            expected = django_answer(lambda: list(queryset.all()))  # noqa: B023
            assert run(lambda: turbo_answer(queryset.all().alist)) == expected  # noqa: B023
        assert text in ENDS or "raised" in expected


SHAPES = {
    "instances": lambda: Sample.objects.filter(moment__year__range=(1000, 9000)).order_by("pk"),
    "functions": lambda: Book.objects.order_by("pk").annotate(
        day=TruncDay("published"),
        hour=TruncHour("published", tzinfo=ZoneInfo("Asia/Kolkata")),
        weekday=Extract("published", "week_day"),
    ),
    "datetimes": lambda: Book.objects.datetimes("published", "day"),
    "arrays": lambda: Arrays.objects.filter(texts=[None]).order_by("pk").values("moments"),
    "aggregates": lambda: Book.objects.values("author").annotate(m=Max("published")).order_by("m"),
}


@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("kind", ZONES)
def test_shapes(kind, case, read):
    with zoned(kind, ZONES[kind][-1]):
        read(SHAPES[case])
