"""What no server sends: it becomes the driver's value or exception, or a HydrationError.

Never does it become a crash, or another value than the driver's. psycopg's compiled loaders read
past the end of a binary value that is too short, so the core has to look before it asks them.
"""

import re
import struct
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.adapt import Transformer
from psycopg.pq import Format

from tests.support import results
from tests.support.answers import fingerprint
from tests.support.wire_types import TYPES
from turbo_orm import HydrationError
from turbo_orm._core import Column, Decoder, Plan
from turbo_orm.codecs.decoders import Decoders

ROOT = Path(__file__).resolve().parent.parent.parent
CORPUS = {
    path.name: path.read_bytes()
    for path in sorted((ROOT / "rust/turbo_core/fuzz/corpus/wire").iterdir())
}
KINDS = [
    pytest.param(kind, format_, id=f"{kind} in {format_.name}")
    for kind, type_ in TYPES.items()
    for format_ in type_.formats
]

# How long values in binary are; of a number, the name of its type says it.
LENGTHS = {
    "bool": 1,
    "date": 4,
    "interval": 16,
    "oid": 4,
    "time": 8,
    "timestamp": 8,
    "timestamptz": 8,
    "uuid": 16,
}


class Loader:
    """The driver's loader, asked for a value that it can read without looking beyond it."""

    def __init__(self, reader, type_name):
        self.reader = reader
        self.type_name = type_name
        self.loaded = []

    def load(self, wire):
        if self.reader.decoder.binary:
            assert is_sound(self.reader.decoder.name, wire, self.type_name)
        try:
            value = self.reader.load(wire)
        except Exception as exc:
            self.loaded.append(exc)
            raise
        self.loaded.append(value)
        return value


def is_sound(name, wire, type_name):
    """Return whether a value in binary has the lengths that it says, and so has all in it."""
    outer, _, inner = name.partition(" of ")
    try:
        match outer:
            case "array":
                parts = array_parts(wire)
            case "range":
                parts = range_parts(wire)
            case "multirange":
                (count,) = struct.unpack_from("!i", wire)
                inner, parts = f"range of {inner}", lengthed(wire[4:], count)
            case "int" | "float":
                return len(wire) == int(re.search("[248]", type_name)[0])
            case _:
                return len(wire) == LENGTHS.get(outer, len(wire))
    except struct.error:
        return False
    return all(part is None or is_sound(inner, part, type_name) for part in parts)


def array_parts(wire):
    dimensions, _, _ = struct.unpack_from("!iiI", wire)
    count = int(dimensions > 0)
    for dimension in range(min(dimensions, 7)):
        count *= struct.unpack_from("!i", wire, 12 + 8 * dimension)[0]
    if dimensions > 6:
        raise struct.error
    return lengthed(wire[12 + 8 * dimensions :], count)


def range_parts(wire):
    (flags,) = struct.unpack_from("!B", wire)
    bounds = 0 if flags & 0x01 else 2 - bool(flags & 0x08) - bool(flags & 0x10)
    return lengthed(wire[1:], bounds)


def lengthed(wire, count):
    """Return as many values as stand there, each behind its length, and nothing behind them."""
    parts = []
    for _ in range(count):
        (length,) = struct.unpack_from("!i", wire)
        part, wire = wire[4 : 4 + max(length, 0)], wire[4 + max(length, 0) :]
        if len(part) != length and length != -1:
            raise struct.error
        parts.append(None if length == -1 else part)
    if wire or count < 0:
        raise struct.error
    return parts


def test_what_is_sound():
    array = struct.pack("!iiIii", 1, 0, 1082, 2, 1) + b"\0\0\0\4abcd\xff\xff\xff\xff"
    range_ = b"\2\0\0\0\2ab\0\0\0\2cd"
    for name, wire in {"bool": b"x", "array of date": array, "range of int": range_}.items():
        assert is_sound(name, wire, "int2")
        assert not is_sound(name, wire[:-1], "int2")
        assert not is_sound(name, wire + b"x", "int2")


# psycopg's C parser writes a byte past its copy of an element that ends like this.
ENDS_IN_ESCAPE = re.compile(rb"\\.\Z", re.DOTALL)


def assert_reads(kind, reader, wires):
    """Read each value, and hold what comes of it against the driver."""
    decoder, type_name = reader.decoder, TYPES[kind].type_name
    if decoder.name.startswith("array") and not decoder.binary:
        wires = [wire for wire in wires if not ENDS_IN_ESCAPE.search(wire)]
    loader = Loader(reader, type_name)
    plan = Plan.flat("library.Book", [Column("title", decoder, loader.load)], 0)
    pgresult = results.column(decoder.binary, wires)
    for row, wire in enumerate(wires):
        loader.loaded.clear()
        try:
            (value,) = plan.hydrate_result(pgresult, row, row + 1)
        except (HydrationError, psycopg.Error, UnicodeError, RecursionError) as exc:
            assert_says_where(exc, row, decoder, loader.loaded)
            continue
        if loader.loaded:
            assert value is loader.loaded[0]
        else:
            assert not decoder.binary or is_sound(decoder.name, wire, type_name), wire
            assert fingerprint(value) == fingerprint(reader.load(wire)), wire


def assert_says_where(exc, row, decoder, loaded):
    """Hold an exception to be the driver's, or one about what the driver could not read either."""
    place = f'library.Book, field "title", column 0, row {row}'
    if isinstance(exc, HydrationError):
        assert str(exc) == f'{place}: the value is malformed for "{decoder.name}"'
        assert [exc.__cause__] == (loaded or [None])
    else:
        assert [exc] == loaded
        assert exc.__notes__[-1] == f"turbo-orm: {place}"


@pytest.fixture
def cursor(driver):
    return driver.cursor()


@pytest.mark.parametrize(("kind", "format_"), KINDS)
def test_values_of_any_other_type_and_what_the_fuzzer_found(kind, format_, cursor):
    reader = TYPES[kind].reader(cursor, format_)
    assert len(CORPUS) > 100
    assert_reads(kind, reader, list(CORPUS.values()))


@pytest.mark.parametrize(("kind", "format_"), KINDS)
def test_values_that_are_cut_short_or_go_on(kind, format_, cursor):
    reader = TYPES[kind].reader(cursor, format_)
    wires = [b"", b"\0", b"\xff" * 16, b"\x80", b"\xed\xa0\x80", b"1\0", b"\0" * 300]
    for sample in samples(kind, format_):
        wires += [sample[:length] for length in range(len(sample))]
        wires += [sample + end for end in (b"\0", b" ", b"0", b",", b"}", sample)]
        wires += [sample[:at] + b"\0" + sample[at + 1 :] for at in range(len(sample))]
    assert_reads(kind, reader, wires)


def samples(kind, format_):
    """Return values of a type out of the corpus, as a server has sent them."""
    name = TYPES[kind].type_name.replace("[]", "-array")
    return [
        wire
        for path, wire in CORPUS.items()
        if path.startswith(f"{name}-") and path.endswith(f"-{format_.name.lower()}")
        if "array" in name or "array" not in path
    ]


def test_there_are_samples():
    kinds = {kind for kind in TYPES if samples(kind, Format.TEXT)}
    assert len(kinds) > 20


@pytest.mark.parametrize(("kind", "format_"), KINDS)
@settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_values_that_are_changed(kind, format_, cursor, data):
    reader = TYPES[kind].reader(cursor, format_)
    start = st.sampled_from(samples(kind, format_) or [*CORPUS.values()])
    wires = st.lists(st.builds(changed, start, st.lists(CHANGES, max_size=3)), max_size=20)
    assert_reads(kind, reader, [*data.draw(wires), *data.draw(st.lists(st.binary(max_size=40)))])


CHANGES = st.tuples(
    st.integers(0, 63),
    st.integers(0, 4),
    st.sampled_from([b"", b"\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b'"', b"{", b","])
    | st.binary(max_size=8),
)


def changed(wire, changes):
    for at, length, put in changes:
        wire = wire[:at] + put + wire[at + length :]
    return wire


NUMBERS = {"int2": 2, "int4": 4, "int8": 8, "float4": 4, "float8": 8}


@pytest.mark.parametrize("name", [*LENGTHS, *NUMBERS])
def test_a_wrong_length_is_an_error_before_the_driver_is_asked(name):
    asked = []
    plan = Plan.flat("m", [Column("c", Decoder(name, binary=True), asked.append)], 0)
    right = (LENGTHS | NUMBERS)[name]
    wires = [b"\x7f" * length for length in range(40) if length != right]
    pgresult = results.column(Format.BINARY, wires)
    for row in range(len(wires)):
        with pytest.raises(HydrationError, match=f"row {row}: the value is malformed"):
            plan.hydrate_result(pgresult, row, row + 1)
    assert asked == []


# Arrays, ranges and hstores that lie


def array(*elements, dimensions=((None, 1),), oid=23, count=None):
    """Return an array in binary; of a dimension of no length, the elements are counted."""
    lengths = [(len(elements) if length is None else length, low) for length, low in dimensions]
    head = struct.pack("!iiI", len(lengths) if count is None else count, 0, oid)
    return (
        head
        + b"".join(struct.pack("!ii", *length) for length in lengths)
        + b"".join(value(element) for element in elements)
    )


def value(wire, length=None):
    """Return a value in binary behind its length, or behind another one."""
    if wire is None:
        return struct.pack("!i", -1)
    return struct.pack("!i", len(wire) if length is None else length) + wire


ONE, TWO = b"\0\0\0\1", b"\0\0\0\2"
LYING = {
    "array of int": [
        array(ONE, dimensions=[(2**31 - 1, 1)]),
        array(ONE, dimensions=[(2**16, 1), (2**15, 1)]),
        array(ONE, dimensions=[(2**31 - 1, 1)] * 6),
        array(dimensions=[(2**31 - 1, 1)]),
        array(ONE, dimensions=[(-1, 1)]),
        array(ONE, dimensions=[(-1, 1), (-1, 1)]),
        array(ONE, TWO, dimensions=[(1, 1)]),
        array(ONE, dimensions=[(2, 1)]),
        array(dimensions=[(0, 1)]),
        array(dimensions=[(0, 1), (2**31 - 1, 1)]),
        array(ONE, dimensions=[(1, 1), (0, 1)]),
        array(ONE, dimensions=[(1, 1)] * 7),
        array(ONE, count=2**31 - 1),
        array(ONE, count=-1),
        array(ONE, count=0),
        array(ONE, oid=25),
        array(ONE, oid=0),
        array(ONE, oid=2**32 - 1),
        array(b"\0\0\1"),
        array(ONE, b""),
        array() + value(ONE, 2**31 - 1),
        array(dimensions=[(1, 1)]) + value(ONE, 3),
        array(dimensions=[(1, 1)]) + value(ONE, 5),
        array(dimensions=[(1, 1)]) + value(ONE, 2**31 - 1),
        array(dimensions=[(1, 1)]) + value(ONE, -2),
        array(dimensions=[(1, 1)]) + value(ONE, -(2**31)),
        array(ONE)[:-1],
        array(ONE) + b"\0",
        array()[:11],
    ],
    "range of int": [
        b"",
        b"\x02",
        b"\x01\0",
        b"\x18\0",
        b"\x02" + value(ONE),
        b"\x02" + value(ONE) + value(None),
        b"\x02" + value(None) + value(ONE),
        b"\x02" + value(ONE) + value(TWO, 2**31 - 1),
        b"\x02" + value(ONE) + value(TWO, -3),
        b"\x02" + value(ONE) + value(b"\0\0\2"),
        b"\x02" + value(ONE) + value(TWO) + b"\0",
        b"\x08" + value(ONE) + value(TWO),
    ],
    "multirange of int": [
        b"",
        b"\0\0\0",
        b"\0\0\0\1",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff" + value(b"\x01"),
        b"\0\0\0\1" + value(b"\x01") + b"\0",
        b"\0\0\0\1" + value(b""),
        b"\0\0\0\1" + value(None),
        b"\0\0\0\1" + value(b"\x01", 2**31 - 1),
        b"\0\0\0\1" + value(b"\x02" + value(ONE) + value(b"\0")),
    ],
    "hstore": [
        b"",
        b"\0\0\0\1",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff" + value(b"a") + value(b"1"),
        b"\0\0\0\1" + value(None) + value(b"1"),
        b"\0\0\0\1" + value(b"a"),
        b"\0\0\0\1" + value(b"a", 2**31 - 1) + value(b"1"),
        b"\0\0\0\1" + value(b"a") + value(b"1") + b"\0",
    ],
    "numeric": [
        b"",
        struct.pack("!HhHH", 1, 0, 0, 0),
        struct.pack("!HhHH", 0xFFFF, 0, 0, 0),
        struct.pack("!HhHHH", 1, 0, 0, 0, 10_000),
        struct.pack("!HhHHH", 1, 0, 0x8000, 0, 1),
        struct.pack("!HhHH", 0, 0, 0, 0) + b"\0",
        struct.pack("!HhHH", 0, 0, 0x4000, 0),  # -0
        struct.pack("!HhHHH", 1, 0, 0x4000, 2, 0),  # -0.00
        struct.pack("!HhHHH", 1, -2, 0, 0, 1),  # 0.00000001, of no places behind the point
        struct.pack("!HhHHH", 1, -(2**15), 0, 2**14 - 1, 1),
    ],
    "jsonb": [b"", b"{}", b"\0{}", b"\x02{}"],
}
INT = Decoder("int", binary=True)
COMPOSED = {
    "array of int": Decoder.array(INT, oid=23),
    "range of int": Decoder.range(INT),
    "multirange of int": Decoder.multirange(INT),
}


@pytest.mark.parametrize("name", LYING)
def test_lengths_and_counts_that_lie_are_errors_before_the_driver_is_asked(name):
    asked = []
    decoder = COMPOSED.get(name) or Decoder(name, binary=True)
    plan = Plan.flat("m", [Column("c", decoder, asked.append)], 0)
    pgresult = results.column(Format.BINARY, LYING[name])
    for row, wire in enumerate(LYING[name]):
        with pytest.raises(HydrationError, match=f"row {row}: the value is malformed"):
            pytest.fail(f"{wire!r} is {plan.hydrate_result(pgresult, row, row + 1)}")
    assert asked == []


EARLY = struct.pack("!q", -63_082_281_600_000_000)  # 0001-01-01, another year in New York
MOMENTS = Decoder("timestamptz", binary=True, zone=ZoneInfo("America/New_York"))
HALF_READ = {
    "array": (Decoder.array(MOMENTS, oid=1184), array(EARLY, b"\0", oid=1184)),
    "range": (Decoder.range(MOMENTS), b"\x02" + value(EARLY) + value(b"\0")),
    "multirange": (
        Decoder.multirange(MOMENTS),
        b"\0\0\0\2"
        + value(b"\x02" + value(EARLY) + value(EARLY))
        + value(b"\x02" + value(EARLY) + value(b"\0")),
    ),
}


@pytest.mark.parametrize("name", HALF_READ)
def test_what_is_malformed_behind_what_is_left_to_the_driver(name):
    """The driver's loader would read the latter, and then past the end of the former."""
    decoder, wire = HALF_READ[name]
    plan = Plan.flat("m", [Column("c", decoder, pytest.fail)], 0)
    with pytest.raises(HydrationError, match="the value is malformed"):
        plan.hydrate_result(results.column(Format.BINARY, [wire]), 0, 1)


def test_numbers_as_long_as_they_can_be(cursor):
    """A few bytes may stand for 131,072 digits before the point and 65,535 behind it."""
    wires = [
        struct.pack("!HhHHH", 1, 0x7FFF, 0x4000, 0xFFFF, 9999),
        struct.pack("!HhHHH", 1, -0x1000, 0, 0x3FFF, 1),
    ]
    assert_reads("numeric", TYPES["numeric"].reader(cursor, Format.BINARY), wires)


@pytest.mark.parametrize(
    "text",
    [b"{" * 6 + b"}" * 6, b"{" * 7 + b"}" * 7, b"{" * 10_000, b"[0:1]", b"[", b"{1}}", b"}"],
)
@pytest.mark.parametrize("kind", ["bigint array", "text array", "range array"])
def test_texts_of_arrays_that_are_none(kind, text, cursor):
    assert_reads(kind, TYPES[kind].reader(cursor, Format.TEXT), [text])


# Types and formats that do not exist


@pytest.mark.parametrize("format_", Format)
@pytest.mark.parametrize("oid", [0, 1, 705, 2**31 - 1, 2**31, 2**32 - 1])
def test_types_that_there_are_not_are_read_as_the_driver_reads_them(oid, format_, cursor):
    wires = [*CORPUS.values(), None, b"", b"\0", b"\xff"]
    pgresult = results.column(format_, wires, oid)
    transformer = Transformer(cursor)
    transformer.set_pgresult(pgresult)
    decoder, load, _ = Decoders(cursor).reader(pgresult.ftype(0), pgresult.fformat(0))
    plan = Plan.flat("library.Book", [Column("title", decoder, load)], 0)
    for row in range(len(wires)):
        expected = outcome(lambda: transformer.load_row(row, tuple)[0])  # noqa: B023
        assert outcome(lambda: plan.hydrate_result(pgresult, row, row + 1)[0]) == expected  # noqa: B023


def outcome(function):
    try:
        return fingerprint(function())
    except Exception as exc:
        return type(exc), str(exc)


@pytest.mark.parametrize("format_", [2, 7, -1])
def test_formats_that_there_are_not_are_refused(format_, cursor):
    pgresult = results.column(format_, [b"x"], oid=25)

    def hydrate():
        decoder, load, _ = Decoders(cursor).reader(pgresult.ftype(0), pgresult.fformat(0))
        return Plan.flat("m", [Column("c", decoder, load)], 0).hydrate_result(pgresult, 0, 1)

    with pytest.raises((ValueError, LookupError, HydrationError)):
        hydrate()


@pytest.mark.parametrize("format_", Format)
def test_a_plan_for_the_other_format(format_):
    plan = Plan.flat("m", [Column("c", Decoder("int", binary=not format_), pytest.fail)], 0)
    with pytest.raises(HydrationError, match=r"the plan expects \w+ format and the result is"):
        plan.hydrate_result(results.column(format_, [ONE]), 0, 1)


@pytest.mark.parametrize("columns", [0, 1, 2, 3, 4])
def test_a_plan_for_another_number_of_columns(columns):
    plan = Plan.tuples("m", [Column("c", Decoder("int"), pytest.fail)] * 3, [0, 1, 2])
    pgresult = results.result([(23, Format.TEXT)] * columns, [[b"1"] * columns] * 2)
    if columns < 3:
        rows = 2 if columns else 0  # libpq has no rows without columns
        with pytest.raises(HydrationError, match=f"3 columns and the result has {columns}"):
            plan.hydrate_result(pgresult, 0, rows)
    else:
        assert plan.hydrate_result(pgresult, 0, 2) == [(1, 1, 1)] * 2


# A libpq that lies


LIAR = """
import ctypes
from types import SimpleNamespace
from turbo_orm import HydrationError
from turbo_orm._core import Column, Decoder, Plan, bind_libpq

text = ctypes.create_string_buffer(b"12")
said = {}
signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
pointer = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
names = ("ntuples", "nfields", "getvalue", "getlength", "getisnull", "fformat")
functions = {
    name: (pointer if name == "getvalue" else signature)(lambda *_, name=name: said[name])
    for name in names
}
addresses = {f"PQ{name}": ctypes.cast(f, ctypes.c_void_p).value for name, f in functions.items()}
# Nothing is sent.
unused = ("ftype", "parameterStatus", "status", "consumeInput", "isBusy", "flush")
unused += ("sendQuery", "sendQueryPrepared")
bind_libpq({**addresses, **{f"PQ{name}": 1 for name in unused}})
plan = Plan.flat("m", [Column("c", Decoder("int"), int)], 0)

def hydrate(**lies):
    said.update(ntuples=1, nfields=1, getlength=2, getisnull=0, fformat=0)
    said.update(getvalue=ctypes.addressof(text))
    said.update(lies)
    try:
        return plan.hydrate_result(SimpleNamespace(pgresult_ptr=1), 0, 1)
    except HydrationError as exc:
        return str(exc)

print(hydrate())
for lie in ({"ntuples": -1}, {"nfields": -1}, {"getlength": -1}, {"getvalue": None}):
    print(hydrate(**lie))
"""


def test_numbers_that_libpq_never_gives():
    """A process binds one libpq, so another one lies to another process."""
    done = subprocess.run(
        [sys.executable, "-c", LIAR], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["[12]", *["the driver's result is cleared"] * 4]
