"""Literals: those of psycopg's client cursor, byte for byte, and mostly written natively."""

import datetime
import uuid
import zoneinfo
from datetime import UTC
from decimal import Decimal, InvalidOperation

import psycopg
import pytest
from django.db import connection
from django.db.models import Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import DataError
from psycopg.adapt import PyFormat, Transformer
from psycopg.types.json import Jsonb
from psycopg.types.numeric import Int2, Int4, Int8
from psycopg.types.string import StrDumper

from tests.library.fields import Suit
from tests.library.models import Account, Author
from tests.support.odd_values import Failing, Interrupting, NoOffset, Text
from turbo_orm import _core, async_connection, bridge
from turbo_orm._core import HydrationError
from turbo_orm.codecs import literals

ODD_ZONE = datetime.timezone(datetime.timedelta(hours=-5, minutes=-31, seconds=-7))
PARIS = zoneinfo.ZoneInfo("Europe/Paris")
MOMENT = datetime.datetime(2024, 2, 29, 23, 59, 59, 999999)

NATIVE = [
    None,
    True,
    False,
    0,
    -1,
    2**31,
    2**63 - 1,
    -(2**63),
    Int2(-3),
    Int4(7),
    Int8(-(2**40)),
    0.0,
    -0.0,
    1.5,
    -1e300,
    1e16,
    5e-324,
    "",
    "it's",
    "''",
    "%s",
    "a\nb\t\x7f",
    Decimal("1.50"),
    Decimal("-0.00"),
    Decimal(10) ** 20,
    datetime.date(7, 1, 2),
    datetime.time(1, 2, 3, 4),
    datetime.datetime(1, 1, 1),
    MOMENT,
    MOMENT.replace(tzinfo=UTC),
    MOMENT.replace(tzinfo=PARIS),
    MOMENT.replace(tzinfo=ODD_ZONE, microsecond=0),
    uuid.UUID(int=7),
]

PSYCOPGS = [
    2**63,
    -(2**64),
    float("inf"),
    float("nan"),
    "back\\slash",
    "ü€𝄞",
    Text("a"),
    Suit.CLUBS,
    Decimal("1E+5"),
    Decimal("NaN"),
    datetime.time(1, tzinfo=UTC),
    MOMENT.replace(tzinfo=NoOffset()),
    datetime.timedelta(days=-1, seconds=3),
    b"\0\\'",
    [1, 2],
    Jsonb({"a": "'"}),
]


class Asked:
    """psycopg's own writer, and what it was asked for."""

    def __init__(self):
        self.values = []

    def __call__(self, value, connection):
        self.values.append(value)
        return Transformer(connection).as_literal(value)


def write(driver, *values):
    """Return literals of values, and those that psycopg was asked for."""
    asked = Asked()
    between = (b"", *[b"|"] * (len(values) - 1), b"")
    dumpers = driver.adapters._dumpers[PyFormat.TEXT]
    return literals._LITERALS.fill(between, values, dumpers, asked, driver), asked.values


IS_OLD = psycopg.__version__ < "3.3"


def by_psycopg(driver, value):
    """Return the literal that psycopg writes.

    psycopg 3.2 writes negative zeros without the space that keeps two hyphens apart, which is put
    there.
    """
    if value is None:
        return b"NULL"
    literal = Transformer(driver).as_literal(value)
    is_negative_zero = IS_OLD and isinstance(value, float | Decimal) and literal[:2] == b"-0"
    return b" " + literal if is_negative_zero else bytes(literal)


@pytest.mark.parametrize("value", NATIVE, ids=repr)
def test_written_natively(driver, value):
    # psycopg looks some classes up by their names at first.
    expected = by_psycopg(driver, value)
    assert write(driver, value) == (expected, [])


@pytest.mark.parametrize("value", PSYCOPGS, ids=repr)
def test_left_to_psycopg(driver, value):
    assert write(driver, value) == (by_psycopg(driver, value), [value])


def outcome(function):
    try:
        return function()
    except (DataError, InvalidOperation, UnicodeEncodeError) as exc:
        return repr(exc)


ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.integers(-(2**15), 2**15 - 1).map(Int2)
    | st.floats()
    | st.text()
    | st.text(st.characters(codec="ascii"))
    | st.decimals()
    | st.dates()
    | st.times()
    | st.times(timezones=st.just(UTC))
    | st.datetimes()
    | st.datetimes(timezones=st.timezones() | st.sampled_from([UTC, ODD_ZONE]))
    | st.uuids()
    | st.timedeltas()
    | st.binary()
)


@given(values=st.lists(ANYTHING, min_size=1))
@settings(
    max_examples=500,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_values(driver, values):
    expected = outcome(lambda: b"|".join([by_psycopg(driver, value) for value in values]))
    assert outcome(lambda: write(driver, *values)[0]) == expected


# The OID of the type of a literal in quotes.
UNKNOWN = 705
TYPED = [*NATIVE, *PSYCOPGS, float("-inf"), -(2**31), 2**31 - 1, b"\xff", [None, "a'\\"]]


def parameter(driver, value):
    """Return a value as a parameter: the name of its type, and its text."""
    parameters = literals.as_parameters((value,), driver)
    (oid,), (text,) = parameters.oids, parameters.texts
    name = driver.execute("SELECT %s::regtype::text", [oid or UNKNOWN]).fetchone()[0]
    return name, text, oid


@pytest.mark.parametrize("value", TYPED, ids=repr)
def test_parameters_are_what_the_literals_are(driver, value):
    literal = by_psycopg(driver, value).decode()
    name, text, oid = parameter(driver, value)
    given = driver.execute(f"SELECT pg_typeof({literal})::text").fetchone()[0]
    assert given == name
    # The same value, as the server writes it.
    cast = "text" if name == "unknown" else name
    expected = driver.execute(f"SELECT ({literal})::{cast}::text").fetchone()[0]
    found = driver.pgconn.exec_params(f"SELECT ($1)::{cast}::text".encode(), [text], [oid])
    assert found.get_value(0, 0) == (None if expected is None else expected.encode())


@given(values=st.lists(ANYTHING, min_size=1))
@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_values_as_parameters(driver, values):
    for value in values:
        literal = outcome(lambda value=value: by_psycopg(driver, value))
        if type(literal) is bytes and (known := literals.as_parameters((value,), driver)):
            typed = f"SELECT pg_typeof({literal.decode()})::oid"
            assert [oid or UNKNOWN for oid in known.oids] == [*driver.execute(typed).fetchone()]


def test_a_session_of_another_encoding_has_literals(driver):
    driver.execute("SET client_encoding TO latin1")
    try:
        assert literals.as_parameters(("a",), driver).texts == [b"a"]
        assert literals.as_parameters(("ä",), driver) is None
    finally:
        driver.execute("RESET client_encoding")


def test_errors_are_those_of_the_value_or_of_psycopg(driver):
    with pytest.raises(DataError, match="NUL"):
        write(driver, "a\0b")
    with pytest.raises(LookupError, match="nowhere"):
        write(driver, MOMENT.replace(tzinfo=Failing()))
    with pytest.raises(KeyboardInterrupt):
        write(driver, MOMENT.replace(tzinfo=Interrupting()))


def test_the_contract_of_the_boundary():
    with pytest.raises(HydrationError, match='there is no encoder "nope"'):
        _core.Literals([(int, StrDumper, "nope")])
    nothing = _core.Literals([])
    assert nothing.fill((b"a", b"c"), (1,), {}, lambda value, _: b"b", None) == b"abc"
    assert nothing.fill((b"a",), (), {}, repr, None) == b"a"
    for between, values in [((), ()), ((b"a",), (1,)), ((b"a", b"b"), ())]:
        with pytest.raises(HydrationError, match=f"{len(between)} pieces of SQL around"):
            nothing.fill(between, values, {}, repr, None)
    for between, literal in [(("a", b"b"), b"1"), ((b"a", b"b"), "1"), ((b"a", b"b"), None)]:
        with pytest.raises(TypeError):
            nothing.fill(between, (1,), {}, lambda *_, literal=literal: literal, None)


class Shouting(StrDumper):
    def dump(self, obj):
        return super().dump(obj.upper())


@pytest.mark.usefixtures("scratch")
def test_a_dumper_that_is_registered(run):
    """It is used on its connection, and on no other."""

    async def made(owner):
        await Account.objects.acreate(owner=owner, balance=1)
        assert await Account.objects.filter(owner=owner).aexists()
        return [each.owner async for each in Account.objects.order_by("pk")]

    async def ask():
        assert await made("ada") == ["ada"]
        assert await made("bo") == ["ada", "bo"]
        async with async_connection():

            def register():
                connection.ensure_connection()
                connection.connection.adapters.register_dumper(str, Shouting)

            await bridge.run(register)
            assert await made("cy") == ["ada", "bo", "CY"]
            await bridge.run(lambda: connection.close())
        assert await made("di") == ["ada", "bo", "CY", "di"]

    run(ask)


@pytest.mark.usefixtures("library")
def test_another_encoding(run):
    """SQL and values are encoded as the session wants them."""

    async def ask():
        def make():
            return Author.objects.filter(name__gt="Ä").values("pk", größe=Value("é"))

        expected = await make().alist()
        assert await make().alist() == expected
        async with async_connection():

            def encode():
                with connection.cursor() as cursor:
                    cursor.execute("SET client_encoding TO latin1")

            await bridge.run(encode)
            assert await make().alist() == expected
            assert await bridge.run(lambda: list(make())) == expected
            await bridge.run(lambda: connection.close())

    run(ask)
