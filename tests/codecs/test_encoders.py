"""The native encoders by themselves: the contract of ``_core.Encoder``."""

import datetime
import json
import uuid
from datetime import UTC, timedelta
from decimal import Decimal

import pytest

from tests.support.odd_values import Failing, Interrupting, NoOffset, Text
from turbo_orm._core import Encoder, HydrationError

WRITTEN = {
    "bool": ([True, False, None], "{t,f,NULL}"),
    "date": ([datetime.date(7, 1, 2)], "{0007-01-02}"),
    "float": (
        [1.5, -0.0, 1e300, 3, float("nan"), -float("inf")],
        "{1.5,-0.0,1e+300,3.0,nan,-inf}",
    ),
    "int2": ([-(2**15), 2**15 - 1], "{-32768,32767}"),
    "int4": ([0, None], "{0,NULL}"),
    "int8": ([2**63 - 1], "{9223372036854775807}"),
    "interval": ([timedelta(1, 2), timedelta(0, 3)], '{"1 day 0:00:02",0:00:03}'),
    "jsonb": ([{"a": [1, None]}, "NULL"], r'{"{\"a\": [1, null]}","\"NULL\""}'),
    "numeric": ([Decimal("1.10"), 7], "{1.10,7}"),
    "text": (["", "null", "a,b", 'q"\\', "x"], r'{"","null","a,b","q\"\\",x}'),
    "time": ([datetime.time(1, 2, 3, 4)], "{01:02:03.000004}"),
    "timestamp": ([datetime.datetime(2024, 1, 2, 3)], '{"2024-01-02 03:00:00"}'),
    "timestamptz": (
        [datetime.datetime(2024, 1, 2, 3, tzinfo=UTC)],
        '{"2024-01-02 03:00:00+00:00"}',
    ),
    "uuid": ([uuid.UUID(int=7)], "{00000000000000000000000000000007}"),
}


ITSELF = []
ITSELF.append(ITSELF)

UNKNOWN = [
    ("bool", 1),
    ("date", datetime.datetime(2024, 1, 1)),
    ("float", Decimal(1)),
    ("float", 2**53 + 1),
    ("float", True),
    ("int2", 2**15),
    ("int4", True),
    ("int8", 2**63),
    ("interval", 7),
    ("jsonb", {1: 2}),
    ("jsonb", float("inf")),
    ("jsonb", ITSELF),
    ("jsonb", Decimal(1)),
    ("jsonb", "\0"),
    ("numeric", Decimal("NaN")),
    ("numeric", Decimal("-Infinity")),
    ("numeric", 1.5),
    ("text", "\0"),
    ("text", "\ud800"),
    ("text", Text("a")),
    ("time", datetime.time(tzinfo=UTC)),
    ("timestamp", datetime.datetime(2024, 1, 1, tzinfo=UTC)),
    ("timestamptz", datetime.datetime(2024, 1, 1)),
    ("timestamptz", datetime.datetime(2024, 1, 1, tzinfo=NoOffset())),
    ("timestamptz", datetime.datetime(2024, 1, 1, tzinfo=Failing())),
    ("uuid", "00000000000000000000000000000007"),
]


@pytest.mark.parametrize("name", WRITTEN)
def test_arrays(name):
    values, expected = WRITTEN[name]
    encoder = Encoder(name)
    assert encoder.name == name
    assert encoder.array([{"x": value} for value in values], "x") == expected
    assert encoder.array([], "x") == "{}"


@pytest.mark.parametrize(("name", "value"), UNKNOWN)
def test_what_is_not_known(name, value):
    assert Encoder(name).array([{"x": None}, {"x": value}], "x") is None


def test_json_is_that_of_json_dumps():
    value = {"ü€𝄞\x7f\x1f": [1e-7, True, ("a", '"\\/\b\f\n\r\t')], "": {}}
    written = Encoder("jsonb").array([{"x": value}], "x")
    assert written == '{"' + json.dumps(value).replace("\\", "\\\\").replace('"', '\\"') + '"}'


def test_what_is_no_dict_or_lacks_the_name():
    assert Encoder("text").array([{"y": "a"}], "x") is None
    assert Encoder("text").array([None], "x") is None


def test_an_interrupt_passes_through():
    moment = datetime.datetime(2024, 1, 1, tzinfo=Interrupting())
    with pytest.raises(KeyboardInterrupt):
        Encoder("timestamptz").array([{"x": moment}], "x")


def test_there_is_no_such_encoder():
    with pytest.raises(HydrationError, match='there is no encoder "nope"'):
        Encoder("nope")
