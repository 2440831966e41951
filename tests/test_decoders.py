"""The native decoders: what PostgreSQL sends, and any text, is read as psycopg reads it."""

import json
import string
from datetime import UTC, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.adapt import Transformer
from psycopg.pq import Format

from tests.answers import fingerprint
from turbo_orm import HydrationError
from turbo_orm._core import Column, Decoder, Plan

# The same examples in every run, and a connection that all of them share.
examples = settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Types:
    """The types of PostgreSQL by the decoders that read them, with values of each."""

    def __init__(self, decoder, type_name, values, wire=None, **options):
        self.decoder = decoder
        self.type_name = type_name
        self.values = values
        self.wire = wire
        self.options = options

    def loader(self, driver):
        oid = driver.adapters.types[self.type_name].oid
        return Transformer(driver).get_loader(oid, Format.TEXT)

    def plan(self, load):
        column = Column("value", Decoder(self.decoder, **self.options), load)
        return Plan.flat("test.Model", [column], 0)


def integers(bits):
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
NUMERIC = (
    st.just(Decimal("NaN"))
    | st.decimals(allow_nan=False, allow_infinity=True)
    | st.decimals(min_value=-(10**40), max_value=10**40, places=20)
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(TEXT, inside, max_size=4),
    max_leaves=12,
)
SPANS = st.timedeltas(timedelta(days=-3_000_000), timedelta(days=3_000_000))
DIGITS = st.text(string.digits, max_size=12)


def regex(pattern):
    return st.from_regex(pattern, fullmatch=True)


TYPES = {
    "bool": Types("bool", "bool", st.booleans(), regex(r"[tfTF01]?|true|false")),
    "smallint": Types("int", "int2", integers(16)),
    "integer": Types("int", "int4", integers(32)),
    "bigint": Types("int", "int8", integers(64), regex(r"[-+]{0,2}[ _]?[0-9]{0,21} ?")),
    "oid": Types("int", "oid", st.integers(0, 2**32 - 1)),
    "real": Types("float", "float4", st.floats(width=32)),
    "double": Types(
        "float",
        "float8",
        st.floats(),
        regex(r"[-+ ]?[0-9]{0,20}(\.[0-9]{0,20})?([eE][-+]?[0-9]{0,2})?|[-+]?(nan|inf(inity)?|N)"),
    ),
    "numeric": Types(
        "numeric",
        "numeric",
        NUMERIC,
        regex(r"-?[0-9]{1,40}(\.[0-9]{1,40})?|NaN|-?Infinity|1e[0-9]{1,5}|[ 0-9x]{1,4}"),
    ),
    "text": Types("text", "text", TEXT, TEXT),
    "bytea": Types("bytea", "bytea", st.binary(), regex(r"\\x[0-9a-fA-F]{0,9}")),
    "uuid": Types(
        "uuid",
        "uuid",
        st.uuids(),
        regex(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-g]{12}"),
    ),
    "date": Types(
        "date", "date", st.dates(), regex(r"[0-9]{4,6}-[01][0-9]-[0-3][0-9]( BC)?|-?infinity")
    ),
    "time": Types(
        "time",
        "time",
        st.times(),
        regex(r"[0-2][0-9]:[0-9]{2}(:[0-6][0-9](\.[0-9]{0,8})?)?( |\+00)?"),
    ),
    "timestamp": Types(
        "timestamp",
        "timestamp",
        st.datetimes(),
        regex(
            r"[0-9]{4,6}-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
            r"(\.[0-9]{0,7})?( BC)?|-?infinity"
        ),
    ),
    "timestamptz": Types(
        "timestamptz",
        "timestamptz",
        st.datetimes(timezones=st.just(UTC)),
        tzinfo=UTC,
    ),
    "interval": Types(
        "interval",
        "interval",
        SPANS,
        regex(
            r"(-?[0-9]{1,4} years? ?)?(-?[0-9]{1,3} mons? ?)?(-?[0-9]{1,8} days? ?)?"
            r"([-+]?[0-9]{1,6}:[0-9]{2}:[0-9]{2}(\.[0-9]{0,7})?)?"
        ),
    ),
    "json": Types("json", "json", JSON.map(json.dumps)),
    "jsonb": Types("json", "jsonb", JSON.map(lambda value: json.dumps(value, ensure_ascii=False))),
}


@pytest.mark.parametrize("kind", TYPES)
@examples
@given(data=st.data())
def test_values_of_the_server_are_read_as_the_driver_reads_them(kind, driver, data):
    type_ = TYPES[kind]
    values = data.draw(st.lists(st.none() | type_.values, min_size=1, max_size=20))
    cursor = driver.cursor()
    dumped = "text" if "json" in kind else type_.type_name
    cursor.execute(
        f"SELECT value::{type_.type_name}"
        f" FROM unnest(%s::{dumped}[]) WITH ORDINALITY AS x (value, position) ORDER BY position",
        [values],
    )
    hydrated = type_.plan(type_.loader(driver).load).hydrate_result(
        cursor.pgresult, 0, cursor.pgresult.ntuples
    )
    assert fingerprint(hydrated) == fingerprint([value for (value,) in cursor.fetchall()])


@pytest.mark.parametrize("kind", [kind for kind, type_ in TYPES.items() if type_.wire is not None])
@examples
@given(data=st.data())
def test_any_text_is_read_as_the_driver_reads_it_or_refused_alike(kind, driver, data):
    type_ = TYPES[kind]
    texts = data.draw(st.lists(type_.wire, min_size=1, max_size=20))
    assert_read_alike(type_, texts, driver)


def assert_read_alike(type_, texts, driver):
    load = type_.loader(driver).load
    plan = type_.plan(load)
    pgresult = result_of_texts(driver, texts)
    for row, text in enumerate(texts):
        expected = outcome(lambda: load(text.encode()))  # noqa: B023
        assert outcome(lambda: plan.hydrate_result(pgresult, row, row + 1)[0]) == expected  # noqa: B023


def result_of_texts(driver, texts):
    """Have the server send texts that are to be taken for values of another type."""
    cursor = driver.cursor()
    cursor.execute(
        "SELECT value FROM unnest(%s::text[]) WITH ORDINALITY AS x (value, n) ORDER BY n", [texts]
    )
    return cursor.pgresult


def outcome(function):
    try:
        return fingerprint(function())
    except HydrationError as exc:
        # What the driver's loader raised that no server gives it a reason to.
        return type(exc.__cause__), str(exc.__cause__)
    except Exception as exc:
        return type(exc), str(exc)


TEXTS = {
    "bool": ["", "t", "f", "true", "T", "tt", "1", "ü"],
    "bigint": ["", "-", "+1", "0", "-0", "007", " 1", "1 ", "1_0", "9" * 18, "9" * 40, "٣", "0x1"],
    "double": ["", "NaN", "-NaN", "Infinity", "-inf", "1e300", "-1e-400", "1.", ".5", "1_0", "١"],
    "numeric": ["", "NaN", "sNaN", "-Infinity", "1e9", "1_0", " 1 ", "١", "0.0", "-0", "x"],
    "text": ["", " ", "𝄞", "\U0010ffff", "a\u0301", "\ufeffbom", "\x01\x7f"],
    "bytea": [
        "",
        "\\x",
        "\\x0",
        "\\xzz",
        "\\xAB",
        "\\000",
        "plain",
        "a\\\\b",
        "\\xab ",
        "\\x0\u00e9",
    ],
    "uuid": [
        "",
        "0" * 32,
        "{" + "0" * 32 + "}",
        f"{UUID(int=1)}".upper(),
        f"{UUID(int=2)} ",
        "x" * 36,
    ],
    "date": [
        "",
        "infinity",
        "-infinity",
        "0044-03-15 BC",
        "10000-01-01",
        "0000-01-01",
        "2023-02-29",
        "2024-02-29",
        "15.03.2024",
        "2024-13-01",
        "2024-01-01 ",
        "٢٠٢٤-01-01",
    ],
    "time": [
        "",
        "24:00:00",
        "23:59:60",
        "12:00",
        "12:00:00.",
        "12:00:00.1234567",
        "12:00:00+01",
        "1:00:00",
        "12:00:00.-1",
    ],
    "timestamp": [
        "",
        "infinity",
        "-infinity",
        "0044-03-15 00:00:00 BC",
        "10000-01-01 00:00:00",
        "2024-01-01T00:00:00",
        "2024-01-01 24:00:00",
        "2024-01-01",
        "2024-01-01 00:00:00.1234567",
        "Fri 15 Mar 00:00:00 2024",
    ],
    "timestamptz": [
        "infinity",
        "-infinity",
        "2024-01-01 00:00:00+01",
        "2024-01-01 00:00:00",
        "10000-01-01 00:00:00+00",
        "0044-03-15 00:00:00+00 BC",
        "2024-01-01 00:00:00+00:30",
        "0001-01-01 00:00:00+00",
        "2024-01-01 00:00:00.5+00",
        "2024-01-01 00:00:00-00",
    ],
    "interval": [
        "",
        "1 day",
        "-1 days",
        "1 year 1 mon",
        "00:00:00",
        "-00:00:00.000001",
        "1 day -00:00:01",
        "1 days 24:00:00",
        "P1D",
        "@ 1 day",
        "1 day ago",
        "999999999 days",
        "1000000000 days",
        "1 year 2",
        "99999999999:00:00",
        "1:2:3",
        "1 fortnight",
        "+1 day",
        "00:00:00.0000001",
    ],
    "json": [
        "",
        "null",
        "[]",
        " [1] ",
        "1e400",
        "-1e400",
        "-0",
        "-0.0",
        "1" * 400,
        "1" * 5000,
        "0.1e-400",
        "01",
        "1.",
        "NaN",
        "-Infinity",
        "nan",
        '"\\ud83d\\ude00"',
        '"\\ud83d"',
        '"\\u0000"',
        '{"a": 1, "a": 2}',
        '["\t"]',
        "[1,]",
        "{}x",
        "[" * 150 + "]" * 150,
        "[" * 250 + "]" * 250,
        "[" * 100_000,
        "\ufeff[]",
        "\x0b[]",
        '"' + "é" * 5000 + '"',
        '{"é": {"": []}}',
        "tru",
        "9007199254740993",
        "123456789012345678901234567890.5",
        "1E5",
        "1e+5",
        "5e-324",
        "2.2250738585072011e-308",
    ],
}


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_at_the_edge_are_read_as_the_driver_reads_them_or_refused_alike(kind, driver):
    assert_read_alike(TYPES[kind], TEXTS[kind], driver)


def test_a_decoder_is_used_where_it_can_be(driver):
    """A fallback that always runs would give the same answers."""
    wires = {
        "bool": "t",
        "int": "1",
        "float": "1.5",
        "numeric": "1.50",
        "text": "x",
        "bytea": "\\x00",
        "uuid": str(UUID(int=7)),
        "date": "2024-02-29",
        "time": "12:30:00.5",
        "timestamp": "2024-02-29 12:30:00",
        "timestamptz": "2024-02-29 12:30:00+00",
        "interval": "1 year 2 days -01:00:00",
        "json": '{"a": [1]}',
    }
    for decoder, wire in wires.items():
        plan = Plan.flat("test.Model", [Column("value", Decoder(decoder), pytest.fail)], 0)
        assert len(plan.hydrate_result(result_of_texts(driver, [wire]), 0, 1)) == 1


@pytest.mark.parametrize("zone", [None, ZoneInfo("America/New_York")])
def test_a_time_zone_is_given_to_what_is_read(zone, driver):
    tokyo = ZoneInfo("Asia/Tokyo")
    result = result_of_texts(driver, ["2024-02-29 12:30:00+00"])
    for tzinfo in (None, tokyo, zone):
        column = Column("value", Decoder("timestamptz", zone=zone, tzinfo=tzinfo), pytest.fail)
        (moment,) = Plan.flat("m", [column], 0).hydrate_result(result, 0, 1)
        assert moment.tzinfo is tzinfo
        assert moment.hour == (12 if zone is None else 7)
