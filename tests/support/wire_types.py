"""The types that have native decoders, with what a server sends for them, and what none does."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from psycopg.pq import Format
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from turbo_orm._core import Column, Plan
from turbo_orm.codecs.decoders import Decoders


class Types:
    """A type of PostgreSQL, values of it, and texts that a server might or might not send."""

    def __init__(self, type_name, values, wire=None, *, decoder=None, binary=True):
        self.type_name = type_name
        self.values = values
        self.wire = wire
        self.decoder = decoder
        self.formats = [Format.TEXT, Format.BINARY] if binary else [Format.TEXT]

    def reader(self, cursor, format_=Format.TEXT):
        """Return the reader of the type, which must be a native one."""
        reader = Decoders(cursor).reader(self.oid(cursor), format_)
        assert (reader.reason, reader.decoder.binary) == ("", format_ == Format.BINARY)
        assert self.decoder in {None, reader.decoder.name}
        return reader

    def oid(self, cursor):
        name, _, brackets = self.type_name.partition("[")
        info = cursor.connection.adapters.types[name]
        return info.array_oid if brackets else info.oid

    def plan(self, reader):
        return Plan.flat("test.Model", [Column("value", reader.decoder, reader.load)], 0)


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


def regex(pattern):
    return st.from_regex(pattern, fullmatch=True)


TYPES = {
    "bool": Types("bool", st.booleans(), regex(r"[tfTF01]?|true|false")),
    "smallint": Types("int2", integers(16)),
    "integer": Types("int4", integers(32)),
    "bigint": Types("int8", integers(64), regex(r"[-+]{0,2}[ _]?[0-9]{0,21} ?")),
    "oid": Types("oid", st.integers(0, 2**32 - 1)),
    "real": Types("float4", st.floats(width=32)),
    "double": Types(
        "float8",
        st.floats(),
        regex(r"[-+ ]?[0-9]{0,20}(\.[0-9]{0,20})?([eE][-+]?[0-9]{0,2})?|[-+]?(nan|inf(inity)?|N)"),
    ),
    "numeric": Types(
        "numeric",
        NUMERIC,
        regex(r"-?[0-9]{1,40}(\.[0-9]{1,40})?|NaN|-?Infinity|1e[0-9]{1,5}|[ 0-9x]{1,4}"),
    ),
    "text": Types("text", TEXT, TEXT),
    "bytea": Types("bytea", st.binary(), regex(r"\\x[0-9a-fA-F]{0,9}")),
    "uuid": Types(
        "uuid",
        st.uuids(),
        regex(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-g]{12}"),
    ),
    "date": Types("date", st.dates(), regex(r"[0-9]{4,6}-[01][0-9]-[0-3][0-9]( BC)?|-?infinity")),
    "time": Types(
        "time",
        st.times(),
        regex(r"[0-2][0-9]:[0-9]{2}(:[0-6][0-9](\.[0-9]{0,8})?)?( |\+00)?"),
    ),
    "timestamp": Types(
        "timestamp",
        st.datetimes(),
        regex(
            r"[0-9]{4,6}-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
            r"(\.[0-9]{0,7})?( BC)?|-?infinity"
        ),
    ),
    "timestamptz": Types(
        "timestamptz",
        st.datetimes(timezones=st.just(UTC)),
        regex(
            r"[0-9]{4,5}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,7})?"
            r"[-+][0-9]{1,3}(:[0-9]{2}(:[0-9]{2})?)?( BC)?|-?infinity"
        ),
    ),
    "interval": Types(
        "interval",
        SPANS,
        regex(
            r"(-?[0-9]{1,4} years? ?)?(-?[0-9]{1,3} mons? ?)?(-?[0-9]{1,8} days? ?)?"
            r"([-+]?[0-9]{1,6}:[0-9]{2}:[0-9]{2}(\.[0-9]{0,7})?)?"
        ),
    ),
    "money": Types("money", regex(r"-?[0-9]{1,9}\.[0-9]{2}"), decoder="text", binary=False),
    "macaddr": Types(
        "macaddr",
        regex(r"([0-9a-f]{2}:){5}[0-9a-f]{2}"),
        decoder="text",
        binary=False,
    ),
    "json": Types("json", JSON.map(json.dumps)),
    "jsonb": Types("jsonb", JSON.map(lambda value: json.dumps(value, ensure_ascii=False))),
}


def arrays(values):
    """Lists of values and of None, and lists of such lists of one length."""
    items = st.none() | values
    return st.lists(items, max_size=5) | st.integers(1, 3).flatmap(
        lambda length: st.lists(
            st.lists(items, min_size=length, max_size=length), min_size=1, max_size=3
        )
    )


def ranges(values):
    """Ranges of such values: empty, without bounds, of any brackets."""
    bounded = st.builds(
        lambda bounds, brackets: Range(*bounds, brackets),
        st.tuples(st.none() | values, st.none() | values).map(
            lambda bounds: bounds if None in bounds else sorted(bounds)
        ),
        st.sampled_from(["[]", "[)", "(]", "()"]),
    )
    return st.just(Range(empty=True)) | bounded


FINITE = st.decimals(min_value=-(10**9), max_value=10**9, places=3)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))
RANGES = {
    "int4range": st.integers(-(2**31), 2**31 - 2),
    "int8range": st.integers(-(2**63), 2**63 - 2),
    "numrange": FINITE,
    "daterange": st.dates(max_value=date(9999, 12, 30)),
    "tsrange": MOMENTS,
    "tstzrange": MOMENTS.map(lambda moment: moment.replace(tzinfo=UTC)),
}

for name, values in RANGES.items():
    TYPES[name] = Types(
        name, ranges(values), regex(r'empty|[\[(]"?[-0-9: +]{0,8}"?,"?[0-9]{0,5}"?[\])]')
    )
    TYPES[name.replace("range", "multirange")] = Types(
        name.replace("range", "multirange"),
        st.lists(ranges(values), max_size=4).map(Multirange),
        regex(r"\{([\[(][0-9]{0,4},[0-9]{0,4}[\])],?){0,3}\}|\{\}?"),
    )
for name in (
    "bool",
    "int2",
    "int8",
    "float8",
    "numeric",
    "bytea",
    "uuid",
    "date",
    "time",
    "timestamp",
):
    (kind,) = (kind for kind, type_ in TYPES.items() if type_.type_name == name)
    TYPES[f"{kind} array"] = Types(
        f"{name}[]",
        arrays(FINITE if name == "numeric" else TYPES[kind].values),
        regex(
            r"(\[[0-9]:[0-9]\]=)?\{([-0-9.tf]{0,5}|NULL|[{}]|\"[0-9\\]{0,4}\")(,[0-9]{0,3}){0,3}\}{0,2}"
        ),
    )
TYPES["text array"] = Types(
    "text[]", arrays(TEXT), regex(r'\{("([^"\\\0]|\\["\\a])*"|NULL|null|[a-z ]*|\{|\}|,){0,6}\}?')
)
TYPES["range array"] = Types("int4range[]", arrays(ranges(RANGES["int4range"])))
TYPES["interval array"] = Types("interval[]", arrays(SPANS))

# Each type in each format that is read natively.
KINDS = [
    pytest.param(kind, format_, id=f"{kind} in {format_.name}")
    for kind, type_ in TYPES.items()
    for format_ in type_.formats
]

# The same examples in every run, and a connection that all of them share.
examples = settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def selected(type_, values, driver, format_):
    """Return the plan of values of a type, their result, and what the driver makes of it."""
    cursor = driver.cursor(binary=format_ == Format.BINARY)
    name = type_.type_name
    parameter = f"%t::text::{name}" if "json" in name else f"%s::{name}"
    cursor.execute(
        " UNION ALL ".join(f"SELECT {parameter}, {n} AS n" for n in range(len(values)))
        + " ORDER BY n",
        values,
    )
    plan = type_.plan(type_.reader(cursor, format_))
    return plan, cursor.pgresult, [value for value, _ in cursor.fetchall()]
