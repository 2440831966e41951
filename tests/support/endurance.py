"""Hydrates rows by the million, and prints how much memory is kept.

    python -m tests.support.endurance

A process of its own has no other tests in its memory, and shows what the core itself allocates,
which the interpreter does not count.
"""

import gc
import json
import resource
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from psycopg.types.range import Range

from tests.support import results
from turbo_orm import HydrationError
from turbo_orm._core import Column, Decoder, Instance, Plan

BATCH = 1000
INT = b"\0\0\0\x07"


class Thing:
    pass


class State:
    pass


def text(name, **options):
    return Decoder(name, **options)


def binary(name, **options):
    return Decoder(name, binary=True, **options)


ZONE = ZoneInfo("America/New_York")
NARROW = [(text("int"), b"123456789"), (text("text"), b"x" * 100)]
WIDE = [
    *NARROW,
    (text("bool"), b"t"),
    (text("float"), b"1.5"),
    (text("numeric"), b"123456789.25"),
    (binary("numeric"), b"\0\2\0\0\x40\0\0\2\0\7\x09\xc4"),
    (text("bytea"), b"\\x" + b"ab" * 50),
    (binary("bytea"), b"x" * 100),
    (text("uuid"), b"01234567-89ab-cdef-0123-456789abcdef"),
    (text("date"), b"2024-02-29"),
    (text("time"), b"12:30:00.5"),
    (text("timestamp"), b"2024-02-29 12:30:00"),
    (text("timestamptz", zone=ZONE), b"2024-02-29 12:30:00+00"),
    (text("timestamptz", zone=ZONE, tzinfo=ZONE), b"2024-02-29 12:30:00+05:30"),
    (binary("timestamptz", zone=ZONE), b"\0\2\xb5\x83\x2f\xc1\xe2\0"),
    (text("interval"), b"1 year 2 days -01:00:00"),
    (text("json"), b'{"a": [1, null, "x"], "b": {"c": 1.5e10}}'),
    (binary("jsonb"), b'\x01{"a": [1, null, "x"]}'),
    (text("hstore"), b'"a"=>"1", "b\\""=>NULL'),
    (Decoder.array(text("text")), b'{{a,"b \\" c"},{NULL,d}}'),
    (
        Decoder.array(binary("int"), oid=23),
        b"\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\2\0\0\0\1" + (b"\0\0\0\4" + INT) * 2,
    ),
    (Decoder.range(text("date")), b"[2024-02-29,infinity)"),  # left to the loader
    (Decoder.range(binary("int")), b"\2" + (b"\0\0\0\4" + INT) * 2),
    (Decoder.multirange(text("int")), b"{[1,3),[5,)}"),
]
BROKEN = [
    *WIDE,
    (
        Decoder.array(binary("int"), oid=23),
        b"\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\2\0\0\0\1" + INT * 2,
    ),
]


def load(wire):
    return Range(wire)


def refuse(wire):
    raise ValueError("refused")


def columns(kinds, load=load):
    return [Column(f"c{index}", decoder, load) for index, (decoder, _) in enumerate(kinds)]


def result(kinds, last=None):
    """Return a batch of equal rows, NULL in every second of the last column but for ``last``."""
    values = [value for _, value in kinds]
    rows = [values, [*values[:-1], None]] * (BATCH // 2)
    if last is not None:
        rows = [[*values[:-1], None]] * (BATCH - 1) + [[*values[:-1], last]]
    return results.result([(0, decoder.binary) for decoder, _ in kinds], rows)


def instances(kinds):
    """Return a plan of instances that have each a related one, and know their peers."""
    fields = [(f"c{index}", index) for index in range(len(kinds))]
    peers = []
    related = Instance(Thing, fields[:1], state_class=State, state=[("db", "default")])
    instance = Instance(
        Thing,
        fields,
        state_class=State,
        state=[("db", "default")],
        related=[(related, "thing", None)],
        peers=peers,
    )
    return Plan.instances("m", columns(kinds), instance), peers


def cases():
    """Yield a name, a number of rows, what hydrates a batch of them, and whether that fails."""
    items = [*range(len(WIDE))]
    narrow, wide = result(NARROW), result(WIDE)
    tuples = Plan.tuples("m", columns(NARROW), [0, 1])
    yield "tuples", 1_000_000, lambda: tuples.hydrate_result(narrow, 0, BATCH), False
    wide_tuples = Plan.tuples("m", columns(WIDE), items)
    yield "wide tuples", 50_000, lambda: wide_tuples.hydrate_result(wide, 0, BATCH), False
    dicts = Plan.dicts("m", columns(WIDE), items, [f"c{index}" for index in items])
    yield "wide dicts", 50_000, lambda: dicts.hydrate_result(wide, 0, BATCH), False
    written = [
        kind for kind, column in zip(WIDE, columns(WIDE), strict=True) if column.writes_json
    ]
    objects = Plan.tuples("m", columns(written), [*range(len(written))])
    of_written = result(written)
    yield "JSON", 100_000, lambda: objects.json(of_written, 0, BATCH, json.dumps), False
    things, peers = instances(NARROW)

    def hydrate_instances():
        peers.clear()
        things.hydrate_result(narrow, 0, BATCH)

    yield "instances", 200_000, hydrate_instances, False
    broken = result(BROKEN, last=BROKEN[-1][1])
    malformed = Plan.tuples("m", columns(BROKEN), [*items, len(items)])
    yield "a malformed value", 50_000, lambda: malformed.hydrate_result(broken, 0, BATCH), True
    odd = result(NARROW[::-1], last=b"no number")
    refused = Plan.dicts("m", columns(NARROW[::-1], refuse), [0, 1], ["a", "b"])
    yield "a refused value", 300_000, lambda: refused.hydrate_result(odd, 0, BATCH), True
    new = [lambda: columns(WIDE), lambda: instances(WIDE), lambda: result(NARROW)]
    yield "plans and results", 50_000, lambda: [make() for make in new], False


def measured(rows, hydrate, fails):
    """Return by how much memory has grown after some batches, in blocks and in bytes."""
    batches = rows // BATCH

    def run(times):
        for _ in range(times):
            failed = False
            try:
                hydrate()
            except HydrationError:
                failed = True
            assert failed == fails
        gc.collect()
        return sys.getallocatedblocks(), resident()

    run(batches // 10)
    before = run(batches // 10)
    return [after - before for after, before in zip(run(batches), before, strict=True)]


def resident():
    """Return how many bytes of memory the process has, or has had where that cannot be told."""
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    print(json.dumps({name: measured(*case) for name, *case in cases()}))
