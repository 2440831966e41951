"""Nothing is left of what was hydrated: not over a million rows, not where a row fails."""

import gc
import json
import subprocess
import sys
import weakref
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from psycopg.pq import Format
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from tests.support import results
from tests.support.wire_types import TYPES
from turbo_orm import HydrationError
from turbo_orm._core import Column, Decoder, Instance, Plan

encode = DjangoJSONEncoder().encode

ROOT = Path(__file__).resolve().parent.parent.parent
CORPUS = [path.read_bytes() for path in (ROOT / "rust/turbo_core/fuzz/corpus/wire").iterdir()]


def test_a_million_rows_leave_memory_flat():
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.endurance"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    grown = json.loads(done.stdout)
    assert len(grown) == 8
    # One block for each batch would make 50 to 1,000; one byte for each row, 50 KB to 1 MB.
    assert {name: growth for name, growth in grown.items() if growth[0] > 25} == {}
    # CPython asks the system for a MiB at a time, be it for the last object.
    assert {name: growth for name, growth in grown.items() if growth[1] > 1 << 20} == {}


@pytest.mark.parametrize(
    ("kind", "format_"),
    [
        pytest.param(kind, format_, id=f"{kind} in {format_.name}")
        for kind, type_ in TYPES.items()
        for format_ in type_.formats
    ],
)
def test_references_to_what_decoders_share_are_level(kind, format_, driver):
    """Values that are read, those left to the driver, and those that fail."""
    reader = TYPES[kind].reader(driver.cursor(), format_)
    assert_level(reader.decoder, reader.load)


ZONE = ZoneInfo("America/New_York")
MADE = {
    "moments in a zone": Decoder("timestamptz", zone=ZONE, tzinfo=ZONE),
    "moments in a zone, without it": Decoder("timestamptz", binary=True, zone=ZONE),
    "arrays of moments": Decoder.array(Decoder("timestamptz", zone=ZONE)),
    "hstore": Decoder("hstore"),
    "hstore in binary": Decoder("hstore", binary=True),
}


@pytest.mark.parametrize("name", MADE)
def test_references_to_zones_and_dictionaries_are_level(name):
    assert_level(MADE[name], lambda wire: wire)


BY_KEY = {1: "{}"}
MEMBERS = [
    [("x", [("a", "a")], True)],
    [("x", "a", BY_KEY, True)],
    [("x", [("a", "a"), ("b", "missing")], True)],
    [("x",)],
]


def assert_level(decoder, load):
    column = Column("column", decoder, load)
    plan = Plan.flat("label", [column], 0)
    dicts = Plan.dicts("label", [column], [0], ["a"])
    pgresult = results.column(decoder.binary, [*CORPUS, None])
    shared = [
        decoder,
        load,
        column,
        plan,
        dicts,
        *MEMBERS,
        BY_KEY,
        pgresult,
        ZONE,
        Decimal,
        UUID,
        Range,
        Multirange,
    ]
    shared += [HydrationError, ZoneInfo]

    def counts():
        for _ in range(10):
            for row in range(len(CORPUS) + 1):
                # The driver's exceptions, too.
                with suppress(Exception):
                    plan.hydrate_result(pgresult, row, row + 1)
                with suppress(Exception):
                    plan.json(pgresult, row, row + 1, encode)
                for members in MEMBERS:
                    with suppress(Exception):
                        dicts.json(pgresult, row, row + 1, encode, members)
                    with suppress(Exception):
                        dicts.json_by_key(pgresult, row, row + 1, encode, members, "a")
                    with suppress(Exception):
                        dicts.flat_by("a").hydrate_result(pgresult, row, row + 1)
        return [sys.getrefcount(item) for item in shared]

    counts()
    before = counts()
    # A few come and go with what the interpreter itself does; a leak is ten at least.
    assert max(abs(a - b) for a, b in zip(counts(), before, strict=True)) < 5


class Thing:
    pass


class State:
    pass


FAILING = {
    "a malformed value": (Decoder("int", binary=True), b"\0", None),
    "a value that the driver refuses": (Decoder("int", binary=False), b"x", int),
    "a malformed element": (
        Decoder.array(Decoder("int", binary=True), oid=23),
        bytes.fromhex("00000001 00000000 00000017 00000002 00000001 00000001 ff"),
        None,
    ),
    "an element that the driver refuses": (Decoder.array(Decoder("int")), b"{1,x}", int),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_row_that_fails_takes_those_before_it_along(case):
    decoder, wire, load = FAILING[case]
    peers = []
    related = Instance(Thing, [("text", 0)], state_class=State, state=[])
    instance = Instance(
        Thing,
        [("text", 0), ("number", 1)],
        state_class=State,
        state=[],
        related=[(related, "related", "remote")],
        peers=peers,
    )
    columns = [
        Column("text", Decoder("text"), pytest.fail),
        Column("number", decoder, load or pytest.fail),
    ]
    pgresult = results.result(
        [(0, Format.TEXT), (0, decoder.binary)], [[b"x", None]] * 9 + [[b"x", wire]]
    )
    plan = Plan.instances("library.Book", columns, instance)
    with pytest.raises(HydrationError, match='field "number", column 1, row 9'):
        plan.hydrate_result(pgresult, 0, 10)
    # The instances refer to each other: it is for the collector to find that nobody else does.
    gc.collect()
    assert len(peers) == 9
    assert [peer for peer in peers if peer() is not None] == []
    assert isinstance(peers[0], weakref.ref)
    peers.clear()
    kept = plan.hydrate_result(pgresult, 0, 9)
    assert [peer() for peer in peers] == kept
