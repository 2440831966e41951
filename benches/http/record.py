"""What a run has measured, in a file: its plan, machine and versions, and a measurement a line."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg

from benches.http.measurement import Measurement
from benches.http.plan import POOL, Plan
from benches.machine import PEERS, machine, server_version, versions_with
from benches.report.run import RESULTS

# What serves the contenders.
_SERVERS = ("gunicorn", "psycopg-pool", "uvicorn", "uvloop")


def record(
    plan: Plan, measurements: Iterable[Measurement], connection: psycopg.Connection[Any]
) -> dict[str, Any]:
    """Return the record of a run as plain data."""
    return {
        "suite": "http",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions_with(server_version(connection), *PEERS, *_SERVERS),
        "pool": POOL,
        "rounds": plan.rounds,
        "seconds": dict(plan.seconds),
        "measurements": [measurement.record() for measurement in measurements],
    }


def write(record: dict[str, Any]) -> Path:
    """Write a record in place of an older one of the day, and return the file."""
    *lines, last = (json.dumps(each) for each in record["measurements"])
    head = json.dumps({name: record[name] for name in record if name != "measurements"}, indent=1)
    body = "".join(f"  {line},\n" for line in lines) + f"  {last}\n"
    file = RESULTS / f"http-{record['date']}.json"
    file.write_text(head.removesuffix("\n}") + f',\n "measurements": [\n{body} ]\n}}\n')
    return file
