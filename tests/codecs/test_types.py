"""The types that PostgreSQL has and Django has no field for, those that a database defines itself
and those of extensions: what the driver makes of them is what a field of ones own gets.
"""

import pytest
from django.contrib.postgres.aggregates import ArrayAgg
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.search import SearchHeadline, SearchQuery, SearchRank, SearchVector
from django.db import DataError, connection, models
from django.db.backends.signals import connection_created
from django.db.models import Field, TextField
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.range import RangeInfo, register_range

from tests.library.fields import Bag, Insensitive, Searched
from tests.support.selecting import selected

# Expressions by the type that they have. A field without converters gives what the driver loads.
TYPES = {
    "inet": ["'10.0.0.1'::inet", "'10.0.0.1/8'::inet", "'::1'::inet", "NULL::inet"],
    "cidr": ["'10.0.0.0/8'::cidr", "'2001:db8::/32'::cidr"],
    "macaddr": ["'08:00:2b:01:02:03'::macaddr", "'08:00:2b:01:02:03:04:05'::macaddr8"],
    "money": ["'-1234.50'::money", "ARRAY['1'::money]"],
    "bit": ["B'101'", "B'101'::bit varying", "ARRAY[B'1', NULL]", "B''::bit varying"],
    "geometry": [
        "point(1, 2)",
        "'[(0,0),(1,1)]'::lseg",
        "box(point(0, 0), point(1, 1))",
        "'((0,0),(1,1),(2,0))'::polygon",
        "circle(point(0, 0), 1)",
        "ARRAY[point(1, 2), NULL]",
        "ARRAY[box(point(0, 0), point(1, 1)), box(point(2, 2), point(3, 3))]",
    ],
    "text": ["'x'::name", "'x'::\"char\"", "'x '::char(3)", "ARRAY['x '::char(3)]", "'7'::xid"],
    "catalogue": [
        "'pg_class'::regclass",
        "1::oid",
        "ARRAY[1::oid]",
        "'1 2'::oidvector",
        "'1 2'::int2vector",
        "'(0,1)'::tid",
        "'0/16B3748'::pg_lsn",
    ],
    "search": ["to_tsvector('english', 'a fox''s tail')", "to_tsquery('fox & (tail | !a)')"],
    "jsonpath": ["'$.a[*]'::jsonpath"],
    "times": [
        "'12:00:00+02:30'::timetz",
        "'12:00:00.5-15:59:59'::timetz",
        "ARRAY['12:00'::time, NULL]",
        "ARRAY['2024-02-29 12:00'::timestamp, NULL]",
        "ARRAY['12:00+01'::timetz]",
        "ARRAY['1 day'::interval, '-00:00:01']",
    ],
    "ranges": [
        "int4range(1, 5, '[]')",
        "int8range(NULL, 5)",
        "numrange(1.50, 'infinity')",
        "numrange('NaN', NULL)",
        "daterange('2024-02-28', '2024-02-29', '[]')",
        "tsrange('2024-02-28', NULL, '()')",
        "tstzrange(NULL, '2024-02-28 00:00+00', '(]')",
        "'empty'::tsrange",
        "ARRAY[int4range(1, 5), NULL, 'empty']",
        "ARRAY[tstzrange('2024-02-28 00:00+00', NULL)]",
    ],
    "multiranges": [
        "'{}'::int4multirange",
        "'{[1,3), [5,)}'::int4multirange",
        "int8multirange(int8range(1, 2))",
        "'{(,1.50], [2,3]}'::nummultirange",
        "'{[2024-02-28,2024-02-29]}'::datemultirange",
        "'{[2024-02-28 01:02:03,)}'::tsmultirange",
        "'{[2024-02-28 01:02:03+00,)}'::tstzmultirange",
        "ARRAY['{}'::int4multirange]",
    ],
    "arrays": [
        "'{}'::int[]",
        "'[2:4]={1,2,3}'::int[]",
        "'[0:0][3:4]={{1,2}}'::int[]",
        "'{{1,2},{NULL,4}}'::bigint[]",
        "'{NaN,Infinity,-1.50,NULL}'::numeric[]",
        "'{NaN,-Infinity,1e-5}'::float8[]",
        "'{0.1,NULL}'::float4[]",
        "ARRAY[true, NULL]",
        "ARRAY['\\x00ff'::bytea, '', NULL]",
        "ARRAY[gen_random_uuid()] IS NULL",
        "ARRAY['{\"a\": [1.50]}'::json, NULL]",
        "ARRAY['{\"a\": [1.50]}'::jsonb, NULL]",
        "ARRAY[NULL, 'NULL', 'null', '', '\"', E'\\\\', 'a,b', '{}', ' a ', E'\\n', 'ü']",
        "ARRAY[['a', NULL], ['', '{']]",
        "ARRAY['10.0.0.1'::inet]",
        "ARRAY['2024-02-29'::date, NULL]",
        "ARRAY['2024-02-29 12:00+00'::timestamptz, NULL]",
        "array_fill(7, ARRAY[2, 1, 2])",
    ],
    "records": [
        "ROW(1, 'a,b', NULL)",
        "ROW('\"', '(', '')",
        "ROW(ROW(1, 2), ARRAY[1, 2])",
        "ARRAY[ROW(1, 'a'), ROW(2, NULL)]",
    ],
    "nothing": ["pg_sleep(0)", "NULL", "ARRAY[NULL]"],
}


@pytest.mark.parametrize("name", TYPES)
def test_a_type_of_postgresql(name, read):
    answers = read.each(selected(expression, TextField()).all for expression in TYPES[name])
    assert all("returned" in answer for answer in answers)


# What Python has no value for

RAISES = {
    "a date in an array": "ARRAY['infinity'::date]",
    "a date before Christ in an array": "ARRAY['0044-03-15 BC'::date]",
    "a moment in an array": "ARRAY[NULL, '-infinity'::timestamptz]",
    "a bound of a range": "tstzrange('-infinity', 'infinity')",
    "a bound of a range of dates": "daterange('-infinity', NULL)",
    "a bound in an array": "ARRAY[daterange('10000-01-01', NULL)]",
    "a bound in a multirange": "'{[-infinity,)}'::datemultirange",
    "midnight in an array": "ARRAY['24:00'::time]",
    "a span in an array": "ARRAY['1000000000 days'::interval]",
    "what the server itself refuses": "'x'::text::int4range",
}


@pytest.mark.parametrize("case", RAISES)
def test_a_value_that_cannot_be_had(case, read):
    read(lambda: selected(RAISES[case], TextField()), raises=DataError)


# Types that the database defines


@pytest.fixture(scope="module")
def defined(library):
    """Define an enumeration, a domain and a composite type."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TYPE library_mood AS ENUM ('glad', 'sad, or so')")
        cursor.execute("CREATE DOMAIN library_even AS integer CHECK (VALUE % 2 = 0)")
        cursor.execute("CREATE DOMAIN library_moods AS library_mood[]")
        cursor.execute("CREATE TYPE library_pair AS (mood library_mood, n library_even)")
        cursor.execute("CREATE TYPE library_span AS RANGE (subtype = time)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TYPE library_span, library_pair, library_mood CASCADE")
        cursor.execute("DROP DOMAIN library_even")


class Typed(Field):
    """A field of a type that is named where it is declared."""

    def __init__(self, type_name, **kwargs):
        self.type_name = type_name
        super().__init__(**kwargs)

    def db_type(self, connection):
        return self.type_name


class Split(Typed):
    """Reads the array of a type that the driver does not know: it comes as text."""

    def from_db_value(self, value, expression, connection):
        return value if value is None else tuple(value.strip("{}").split(","))


DEFINED = {
    "an enumeration": ("'glad'::library_mood", Typed("library_mood")),
    "a domain": ("4::library_even", Typed("library_even")),
    "a domain as an integer": ("4::library_even", models.IntegerField()),
    "an array of an enumeration": ("'{glad,NULL}'::library_mood[]", Typed("library_mood[]")),
    "an array field of an enumeration": (
        "'{glad,NULL}'::library_mood[]",
        ArrayField(Typed("library_mood")),
    ),
    "a converted array": ("'{glad,glad}'::library_mood[]", Split("library_mood[]")),
    "no converted array": ("NULL::library_mood[]", Split("library_mood[]")),
    "a converted array in an array field": (
        "ARRAY['{a,b}', NULL]",
        ArrayField(Split("text")),
    ),
    "a domain of an array": ("'{glad}'::library_moods", Typed("library_moods")),
    "a composite": ("ROW('sad, or so', 2)::library_pair", Typed("library_pair")),
    "an array of composites": (
        "ARRAY[ROW('glad', NULL)::library_pair, NULL]",
        Typed("library_pair[]"),
    ),
    "a range": ("'[12:00,13:00)'::library_span", Typed("library_span")),
    "a row of a table": ("library_author", Typed("library_author")),
}


@pytest.mark.parametrize("case", DEFINED)
def test_a_type_that_the_database_defines(case, read, defined):
    read(lambda: selected(*DEFINED[case]))


class Fetched:
    """Registers on each new connection how the driver is to load a type."""

    def __init__(self, info_class, name, register):
        self.info_class = info_class
        self.name = name
        self.register = register

    def __call__(self, connection, **kwargs):
        self.register(self.info, connection.connection)

    def __enter__(self):
        connection.ensure_connection()
        self.info = self.info_class.fetch(connection.connection, self.name)
        connection_created.connect(self)
        connection.close()

    def __exit__(self, *exc_info):
        connection_created.disconnect(self)
        connection.close()


REGISTERED = {
    "an enumeration": Fetched(EnumInfo, "library_mood", register_enum),
    "an array of an enumeration": Fetched(EnumInfo, "library_mood", register_enum),
    "an array field of an enumeration": Fetched(EnumInfo, "library_mood", register_enum),
    "a composite": Fetched(CompositeInfo, "library_pair", register_composite),
    "an array of composites": Fetched(CompositeInfo, "library_pair", register_composite),
    "a range": Fetched(RangeInfo, "library_span", register_range),
}


@pytest.mark.parametrize("case", REGISTERED)
def test_a_type_that_is_registered(case, read, defined):
    unregistered = read(lambda: selected(*DEFINED[case]))
    with REGISTERED[case]:
        assert read(lambda: selected(*DEFINED[case])) != unregistered


# Full text search


SEARCHES = {
    "a vector": lambda: Searched.objects.annotate(v=SearchVector("text", weight="A")),
    "a rank": lambda: Searched.objects.annotate(
        rank=SearchRank(SearchVector("text"), SearchQuery("fox"))
    ),
    "a headline": lambda: Searched.objects.annotate(h=SearchHeadline("text", SearchQuery("fox"))),
    "a match": lambda: Searched.objects.filter(vector=SearchQuery("fox | test")),
}


@pytest.mark.parametrize("case", SEARCHES)
def test_full_text_search(case, read):
    read(lambda: SEARCHES[case]().order_by("pk"))


# Types of extensions


OF_EXTENSIONS = {
    "hstore": lambda: Bag.objects.order_by("pk"),
    "hstore as dicts": lambda: Bag.objects.order_by("pk").values(),
    "hstore as tuples": lambda: Bag.objects.order_by("pk").values_list("many", "data"),
    "a key of hstore": lambda: Bag.objects.order_by("pk").values_list("data__a", flat=True),
    "keys and values of hstore": lambda: Bag.objects.order_by("pk").values_list(
        "data__keys", "data__values"
    ),
    "hstore that is aggregated": lambda: Bag.objects.values_list(ArrayAgg("data")),
    "citext": lambda: Insensitive.objects.order_by("pk"),
    "citext as dicts": lambda: Insensitive.objects.order_by("pk").values(),
    "citext that is found": lambda: Insensitive.objects.filter(name="aDA").values_list("names"),
}


@pytest.mark.parametrize("case", OF_EXTENSIONS)
def test_a_type_of_an_extension(case, read, extended):
    """django.contrib.postgres has each connection load them as what they are."""
    read(OF_EXTENSIONS[case])


def test_hstore_is_a_dict(run, extended):
    found = run(Bag.objects.filter(data__has_key="NULL").order_by("pk").alist)
    assert found[0].data == {"a": "1", "": None, "NULL": "NULL"}
    assert found[0].many == [{"a": None}, None, {}]
    found = run(Insensitive.objects.filter(name="ADA").aget)
    assert found.names[:2] == ["B", None]
