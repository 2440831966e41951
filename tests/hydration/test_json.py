"""JSON of what PostgreSQL sends, by the native core: the bytes that Django's encoder makes."""

import json
import math
import random
import struct
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from hypothesis import given
from hypothesis import strategies as st
from psycopg.pq import Format

from tests.support import results
from tests.support.wire_types import KINDS, TYPES, examples, selected
from turbo_orm import HydrationError
from turbo_orm._core import Column, Decoder, Instance, Plan

encode = DjangoJSONEncoder().encode

# Django's encoder refuses their values.
REFUSED = {"bytea", "bytea array"} | {kind for kind in TYPES if "range" in kind}


def dumps(values):
    return json.dumps(values, cls=DjangoJSONEncoder).encode()


def outcome(function):
    try:
        return function()
    except Exception as exc:
        return type(exc), str(exc)


@pytest.mark.parametrize(("kind", "format_"), KINDS)
@examples
@given(data=st.data())
def test_values_are_written_as_django_encodes_what_the_driver_reads(kind, format_, driver, data):
    """Without being made, unless they are unusual."""
    type_ = TYPES[kind]
    values = data.draw(st.lists(st.none() | type_.values, min_size=1, max_size=20))
    plan, pgresult, loaded = selected(type_, values, driver, format_)
    made = []

    def encode_what_is_made(value):
        made.append(value)
        return encode(value)

    written = outcome(lambda: plan.json(pgresult, 0, len(values), encode_what_is_made))
    assert written == outcome(lambda: dumps(loaded))
    (column,) = plan.columns
    assert column.writes_json == (kind not in REFUSED)
    assert kind in REFUSED or all(map(is_unusual, made)), made


def is_unusual(value):
    """Return whether a number, or one in what is nested, has an exponent, or too many digits."""
    text = encode(value)
    return "E" in text or any(part.isdigit() and len(part) > 600 for part in text.split())


@pytest.mark.parametrize("kind", [kind for kind, type_ in TYPES.items() if type_.wire is not None])
@examples
@given(data=st.data())
def test_any_text_is_written_as_what_is_read_of_it(kind, driver, data):
    type_ = TYPES[kind]
    texts = data.draw(st.lists(type_.wire, min_size=1, max_size=20))
    assert_written_alike(type_.plan(type_.reader(driver.cursor())), texts)


def assert_written_alike(plan, texts, format_=Format.TEXT):
    wires = [text if type(text) is bytes else text.encode() for text in texts]
    pgresult = results.column(format_, wires)
    for row, text in enumerate(texts):
        read = outcome(lambda: dumps(plan.hydrate_result(pgresult, row, row + 1)))  # noqa: B023
        if type(read) is bytes:
            read = read[row > 0 : None if row + 1 == len(texts) else -1]
            read = (b", " if row else b"") + read
        assert outcome(lambda: plan.json(pgresult, row, row + 1, encode)) == read, text  # noqa: B023


TEXTS = {
    "double": [
        "1e22",
        "1e16",
        "1e15",
        "0.0001",
        "0.00001",
        "-0",
        "5e-324",
        "1.7976931348623157e308",
    ],
    "numeric": [
        "0.000000",
        "0.0000000",
        "0.000001",
        "0.0000001",
        "-0.00",
        "-0.0000000",
        "007",
        "00.1",
    ],
    "text": ["\0", "\x7f", '"\\/', "\b\f\n\r\t\x1f", "\u2028\u2029", "é€𝄞", "</script>"],
    "date": ["0001-01-01", "9999-12-31", "2023-02-29", "2024-00-01", "2024-04-31"],
    "time": ["23:59:59.999999", "00:00:00.000001", "00:00:00.001", "24:00:00"],
    "timestamptz": [
        "2024-01-01 00:00:00.000999+00",
        "0001-01-01 00:00:00+01",
        "2024-02-30 00:00:00+00",
    ],
    "interval": [
        "-1 days +00:00:00.000001",
        "-00:00:00.000001",
        "999999999 days",
        "999999999 days 24:00:00",
        "-999999999 days",
        "-999999999 days -00:00:01",
        "1 day -24:00:00",
    ],
    "uuid": ["ABCDEFAB-0000-0000-0000-00000000000F"],
    "text array": ["{}", "{{a,NULL},{b,c}}", "[2:3]={a,b}", "{a", "", '{"\\""}'],
}


@pytest.mark.parametrize("kind", TEXTS)
def test_odd_texts(kind, driver):
    type_ = TYPES[kind]
    assert_written_alike(type_.plan(type_.reader(driver.cursor())), TEXTS[kind])


CORPUS = sorted(
    path.read_bytes()
    for path in (Path(__file__).parents[2] / "rust/turbo_core/fuzz/corpus/wire").iterdir()
)


@pytest.mark.parametrize(("kind", "format_"), KINDS)
def test_any_bytes_are_written_as_what_is_read_of_them(kind, format_, driver):
    """What no server sends, too: it raises the same, and never becomes JSON."""
    type_ = TYPES[kind]
    assert_written_alike(type_.plan(type_.reader(driver.cursor(), format_)), CORPUS, format_)


DOCUMENTS = [
    "null",
    ' { "a" : [ 1 , 2.50 , { } , [ ] ] , "b" : "\\u00e9é\\/" } ',
    '{"b": 1, "a": 2, "b": 3}',
    '{"a": 1, "\\u0061": 2}',
    '{"": {"": 1}, "x": {"": 2}}',
    "-0",
    "-0.0",
    "1E5",
    "1e+400",
    "-1e400",
    "1e-400",
    "0.1e1",
    "1" * 600,
    "1" * 5000,
    "1" * 400 + ".5",
    "12345678901234567890123.0",
    "01",
    "1.",
    ".5",
    "+1",
    "1e",
    "--1",
    "NaN",
    "Infinity",
    "-Infinity",
    "nul",
    "nullx",
    "",
    "[1,]",
    "[1 2]",
    "[,1]",
    '{"a"}',
    '{"a": 1,}',
    "{1: 2}",
    "[",
    '"',
    '"\\',
    '"\\x"',
    '"\\u12"',
    '"\\u+123"',
    '"\\ud834\\udd1e"',
    '"\\ud834"',
    '"\\udd1e"',
    '"\\ud834\\u0041"',
    '"\n"',
    '"\\u0000\\u2028"',
    '"\u2028\U0010ffff"',
    "\ufeff1",
    "\u00a01",
    "[" * 90 + "]" * 90,
    "[" * 150 + "]" * 150,
    "[" * 300 + "]" * 300,
]


def test_documents():
    """As they are sent, whoever has written them: checked, and with the values that Python has."""
    plan = Plan.flat("test.Model", [Column("value", Decoder("json"), json.loads)], 0)
    assert_written_alike(plan, DOCUMENTS)


def floats():
    """Powers of two, doubles of any bits, and those halfway between two of the shortest texts."""
    drawn = random.Random(1)
    for exponent in range(-1074, 1024):
        for number in (1.0, 3.0, 5.0, 7.0):
            power = math.ldexp(number, max(exponent - 2, -1074))
            yield from (power, math.nextafter(power, 0), math.nextafter(power, math.inf))
    for _ in range(20_000):
        yield struct.unpack("d", drawn.randbytes(8))[0]
        yield drawn.uniform(-1000, 1000)
        yield round(drawn.uniform(-1000, 1000), drawn.randrange(6))
        yield drawn.randrange(2**50, 2**53) + drawn.choice([0.25, 0.5, 0.75])
        yield (drawn.randrange(2**52, 2**53)) * 2.0 ** -drawn.randrange(1, 60)


def test_a_float_is_written_as_python_shows_it():
    values = list(floats())
    plan = Plan.flat("test.Model", [Column("value", Decoder("float8", binary=True), float)], 0)
    pgresult = results.column(Format.BINARY, [struct.pack(">d", value) for value in values])
    assert plan.json(pgresult, 0, len(values), encode) == dumps(values)


ZONES = {
    "UTC": (None, ZoneInfo("UTC")),
    "a zone": (ZoneInfo("Asia/Tokyo"), ZoneInfo("Asia/Tokyo")),
    "a zone that is not told": (ZoneInfo("Europe/Berlin"), None),
    "no zone": (None, None),
}


@pytest.mark.parametrize("case", ZONES)
def test_moments_in_another_time_zone(case, driver):
    zone, tzinfo = ZONES[case]
    decoder = Decoder("timestamptz", zone=zone, tzinfo=tzinfo)
    plan = Plan.flat("test.Model", [Column("value", decoder, str)], 0)
    assert_written_alike(plan, ["2024-07-01 12:00:00.123456+00", "2024-01-01 23:30:00+00"])


NUMBERS = [Column(name, Decoder("int"), int) for name in "abc"]
SHAPES = {
    "dicts": Plan.dicts("test.Model", NUMBERS, [0, 2], ["a", "c"]),
    "dicts of nothing": Plan.dicts("test.Model", NUMBERS, [], []),
    "a name twice": Plan.dicts("test.Model", NUMBERS, [0, 1, 2], ["a", "b", "a"]),
    "odd names": Plan.dicts("test.Model", NUMBERS, [0, 1], ['"\\', "é{}%s"]),
    "a group": Plan.dicts("test.Model", NUMBERS, [[1, 2], 0], ["pk", "a"]),
    "tuples": Plan.tuples("test.Model", NUMBERS, [2, [0, 1], 2]),
    "tuples of nothing": Plan.tuples("test.Model", NUMBERS, []),
    "flat values": Plan.flat("test.Model", NUMBERS, 1),
    "a flat group": Plan.flat("test.Model", NUMBERS, [0, 1]),
}
ROWS = [[b"1", b"2", b"3"], [b"-4", None, b"9223372036854775807"], [b"7", b"8", None]]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_shapes(shape, rows):
    plan, pgresult = SHAPES[shape], results.result([(0, 0)] * 3, ROWS[:rows])
    assert plan.json(pgresult, 0, rows, encode) == dumps(plan.hydrate_result(pgresult, 0, rows))


@pytest.mark.parametrize("stops", [[], [1], [2], [1, 2]])
def test_parts_of_a_result_are_one_array(stops):
    plan, pgresult = SHAPES["tuples"], results.result([(0, 0)] * 3, ROWS)
    bounds = zip([0, *stops], [*stops, 3], strict=True)
    parts = [plan.json(pgresult, *each, encode) for each in bounds]
    assert b"".join(parts) == dumps(plan.hydrate_result(pgresult, 0, 3))


def test_a_converter_is_called_for_each_value_with_null():
    column = Column(
        "value",
        Decoder("text"),
        bytes.decode,
        converters=[(lambda value, expression, connection: [value, expression], "x")],
    )
    plan = Plan.flat("test.Model", [column], 0)
    assert not column.writes_json
    pgresult = results.column(Format.TEXT, [b"a", None])
    assert plan.json(pgresult, 0, 2, encode) == b'[["a", "x"], [null, "x"]]'


def test_a_converter_that_the_decoder_stands_for_is_called_for_what_it_declines():
    def convert(value, expression, connection):
        return f"converted {value}"

    column = Column(
        "value", Decoder("int"), bytes.decode, converters=[(convert, None)], decoder_converts=True
    )
    plan = Plan.flat("test.Model", [column], 0)
    assert column.writes_json
    pgresult = results.column(Format.TEXT, [b"1", b"x", None])
    assert plan.json(pgresult, 0, 3, encode) == b'[1, "converted x", null]'


def test_what_encode_raises_is_raised():
    plan = Plan.flat("test.Model", [Column("value", Decoder("bytea"), bytes)], 0)
    with pytest.raises(TypeError, match="Object of type bytes is not JSON serializable"):
        plan.json(results.column(Format.TEXT, [b"\\x00"]), 0, 1, encode)


@pytest.mark.parametrize("returned", [b"1", None, 1])
def test_encode_has_to_return_a_text(returned):
    plan = Plan.flat("test.Model", [Column("value", Decoder("loader"), bytes)], 0)
    with pytest.raises(TypeError):
        plan.json(results.column(Format.TEXT, [b"1"]), 0, 1, lambda value: returned)


def test_a_result_that_encode_clears_is_not_read_on():
    def clear(value):
        pgresult.clear()
        return "1"

    plan = Plan.flat("test.Model", [Column("value", Decoder("loader"), bytes)], 0)
    pgresult = results.column(Format.TEXT, [b"1", b"2"])
    with pytest.raises(HydrationError, match="cleared"):
        plan.json(pgresult, 0, 2, clear)


def test_a_malformed_value_is_refused_with_its_place():
    plan = Plan.flat("test.Model", [Column("value", Decoder("bool", binary=True), bool)], 0)
    pgresult = results.column(Format.BINARY, [b"\1", b"\2"])
    with pytest.raises(HydrationError, match=r"test.Model, field \"value\", column 0, row 1"):
        plan.json(pgresult, 0, 2, encode)


@pytest.mark.parametrize("rows", [(1, 0), (0, 2), (3, 3)])
def test_rows_that_there_are_not(rows):
    plan = Plan.flat("test.Model", [Column("value", Decoder("int"), int)], 0)
    with pytest.raises(HydrationError, match="the result has 1"):
        plan.json(results.column(Format.TEXT, [b"1"]), *rows, encode)


def test_instances_are_refused():
    instance = Instance(object, [], state_class=object, state=[])
    plan = Plan.instances("test.Model", NUMBERS, instance)
    with pytest.raises(HydrationError, match="instances cannot be written as JSON"):
        plan.json(results.result([(0, 0)] * 3, ROWS), 0, 3, encode)


# Members


def nested(*members):
    plan, pgresult = SHAPES["dicts"], results.result([(0, 0)] * 3, ROWS)
    return plan.json(pgresult, 0, 3, encode, list(members))


def test_members_have_names_and_places_of_their_own():
    members = ("x", [("é", "c"), ("inner", [("a", "a")], False)], False), ("a", "a")
    assert nested(*members) == dumps(
        [
            {"x": {"é": c, "inner": {"a": a}}, "a": a}
            for a, c in ((1, 3), (-4, 9223372036854775807), (7, None))
        ]
    )
    assert nested() == b"[{}, {}, {}]"
    assert nested(("x", [], False)) == b'[{"x": {}}, {"x": {}}, {"x": {}}]'


@pytest.mark.parametrize("may_be_null", [True, False])
def test_an_object_is_null_where_all_in_it_is(may_be_null):
    found = json.loads(nested(("x", [("y", [("c", "c")], may_be_null)], may_be_null)))
    assert found[0] == {"x": {"y": {"c": 3}}}
    assert found[2] == {"x": None if may_be_null else {"y": {"c": None}}}


@pytest.mark.parametrize("many", [True, False])
def test_related_rows_by_a_value(many):
    found = nested(("x", "a", {1: '{"b": 2}', 7: "null"}, many))
    if many:
        assert found == b'[{"x": [{"b": 2}]}, {"x": []}, {"x": [null]}]'
    else:
        assert found == b'[{"x": {"b": 2}}, {"x": null}, {"x": null}]'


def test_rows_by_a_value():
    plan = SHAPES["a name twice"]
    rows = [[b"1", b"2", b"5"], [None, b"3", None], [b"4", b"6", b"5"]]
    pgresult = results.result([(0, 0)] * 3, rows)
    members = [("b", "b")]
    assert plan.json_by_key(pgresult, 0, 3, encode, members, "a") == {
        5: '{"b": 2}, {"b": 6}',
        None: '{"b": 3}',
    }
    assert plan.json_by_key(pgresult, 1, 1, encode, members, "a") == {}
    assert plan.json_by_key(pgresult, 0, 3, encode, members, "a", False) == {
        5: '{"b": 2}',
        None: '{"b": 3}',
    }
    assert plan.flat_by("a").hydrate_result(pgresult, 0, 3) == [5, None, 5]
    assert plan.flat_by("b").shape == "flat values"
    assert plan.names == ["a", "b", "a"]
    assert SHAPES["tuples"].names is None


def test_a_value_of_several_columns_is_a_key():
    plan, pgresult = SHAPES["a group"], results.result([(0, 0)] * 3, ROWS)
    found = plan.json_by_key(pgresult, 0, 1, encode, [("a", "a")], "pk")
    assert found == {(2, 3): '{"a": 1}'}
    related = [("x", "pk", {(2, 3): "{}"}, False)]
    assert plan.json(pgresult, 0, 1, encode, related) == b'[{"x": {}}'


def deep(depth):
    members = [("a", "a")]
    for _ in range(depth):
        members = [("x", members, False)]
    return members


def endless():
    members = []
    members.append(("x", members, False))
    return members


ODD = {
    "no list": (5, TypeError),
    "a text": ("ab", TypeError),
    "no tuples": ([["a", "a"]], TypeError),
    "one item": ([("a",)], ValueError),
    "five items": ([("a", "a", {}, True, 1)], ValueError),
    "no name": ([(1, "a")], TypeError),
    "no such value": ([("a", "z")], HydrationError),
    "no such key": ([("a", "z", {}, True)], HydrationError),
    "no dict": ([("x", "a", [], True)], TypeError),
    "no JSON": ([("x", "a", {1: 1}, True)], TypeError),
    "too deep": (deep(200), HydrationError),
    "endless": (endless(), HydrationError),
    "a surrogate": ([("\ud800", "a")], UnicodeEncodeError),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_members(case):
    members, error = ODD[case]
    plan, pgresult = SHAPES["dicts"], results.result([(0, 0)] * 3, ROWS)
    with pytest.raises(error):
        plan.json(pgresult, 0, 3, encode, members)
    with pytest.raises(error):
        plan.json_by_key(pgresult, 0, 3, encode, members, "a")


def test_only_dicts_have_names():
    pgresult = results.result([(0, 0)] * 3, ROWS)
    for plan in (SHAPES["tuples"], SHAPES["flat values"]):
        with pytest.raises(HydrationError, match="no names"):
            plan.json(pgresult, 0, 3, encode, [])
        with pytest.raises(HydrationError, match="no names"):
            plan.json_by_key(pgresult, 0, 3, encode, [], "a")
        with pytest.raises(HydrationError, match="no names"):
            plan.flat_by("a")
    with pytest.raises(HydrationError, match='no name "z"'):
        SHAPES["dicts"].flat_by("z")


class Clearing:
    """A value by which rows are grouped, or looked up, whose code clears their result."""

    pgresult = None

    def __hash__(self):
        self.pgresult.clear()
        return 1

    def __eq__(self, other):
        return self is other


@pytest.mark.parametrize("by", ["grouped", "looked up"])
def test_a_result_that_a_key_clears_is_not_read_on(by):
    column = Column("value", Decoder("loader"), lambda wire: Clearing())
    plan = Plan.dicts("test.Model", [column, *NUMBERS], [0, 1], ["key", "a"])
    pgresult = Clearing.pgresult = results.result([(0, 0)] * 4, [[b"x", *row] for row in ROWS])
    related = [("x", "key", {}, True), ("a", "a")]
    ways = {
        "grouped": lambda: plan.json_by_key(pgresult, 0, 3, encode, [("a", "a")], "key"),
        "looked up": lambda: plan.json(pgresult, 0, 3, encode, related),
    }
    with pytest.raises(HydrationError, match="cleared"):
        ways[by]()
