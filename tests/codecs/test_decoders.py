"""The native decoders: what PostgreSQL sends, and any text, is read as psycopg reads it."""

from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.answers import fingerprint
from tests.support.wire_types import KINDS, TYPES, examples, selected
from turbo_orm import HydrationError
from turbo_orm._core import Column, Decoder, Plan


@pytest.mark.parametrize(("kind", "format_"), KINDS)
@examples
@given(data=st.data())
def test_values_of_the_server_are_read_as_the_driver_reads_them(kind, format_, driver, data):
    type_ = TYPES[kind]
    values = data.draw(st.lists(st.none() | type_.values, min_size=1, max_size=20))
    plan, pgresult, loaded = selected(type_, values, driver, format_)
    hydrated = plan.hydrate_result(pgresult, 0, pgresult.ntuples)
    assert fingerprint(hydrated) == fingerprint(loaded)


@pytest.mark.parametrize("kind", [kind for kind, type_ in TYPES.items() if type_.wire is not None])
@examples
@given(data=st.data())
def test_any_text_is_read_as_the_driver_reads_it_or_refused_alike(kind, driver, data):
    type_ = TYPES[kind]
    texts = data.draw(st.lists(type_.wire, min_size=1, max_size=20))
    assert_read_alike(type_, texts, driver)


def assert_read_alike(type_, texts, driver):
    reader = type_.reader(driver.cursor())
    plan = type_.plan(reader)
    pgresult = result_of_texts(driver, texts)
    for row, text in enumerate(texts):
        expected = outcome(lambda: reader.load(text.encode()))  # noqa: B023
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
