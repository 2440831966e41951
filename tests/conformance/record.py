"""What a run of everything has come to: a file for each Django and mode."""

import datetime
import json
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from tests.conformance.part import REQUESTS, Part

#: As they are explained.
MODES = ["hot", "loop", "bridge", *REQUESTS]
FOLDER = Path(__file__).parent / "records"


def write(mode: str, parts: Iterable[Part], dsn: str, seconds: float) -> None:
    """Write the record of a run, in place of an older one."""
    record = {
        "mode": mode,
        "date": today(),
        "seconds": round(seconds),
        "versions": versions(dsn),
        "parts": [_part(part) for part in parts],
    }
    FOLDER.mkdir(exist_ok=True)
    django = ".".join(version("django").split(".")[:2])
    path = FOLDER / f"{django}-{mode}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def today() -> str:
    """Return the date of a record."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def versions(dsn: str) -> dict[str, str]:
    """Return what a run is made with, by name."""
    with psycopg.connect(dsn) as connection:
        postgresql = connection.info.parameter_status("server_version") or ""
    return {
        "Python": platform.python_version(),
        "PostgreSQL": postgresql.split()[0],
        **{name: version(name) for name in ("django", "django-async-backend", "psycopg")},
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "variant": part.variant,
        "patched": part.is_patched,
        "labels": {
            label: dict(part.counts[label]) for label in part.labels if label in part.counts
        },
        "totals": dict(part.totals),
        "async_cursors": part.async_cursors,
        "sync_cursors": part.sync_cursors,
        **({"requests": part.requests} if part.requests else {}),
        "twice": {
            "results": part.results,
            "rows": part.rows,
            "differences": part.differences,
        }
        if part.is_twice
        else None,
    }


def read() -> list[dict[str, Any]]:
    """Return the records, the newest Django first, then by mode as they are explained."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")]
    found.sort(key=lambda record: MODES.index(record["mode"]))
    found.sort(key=lambda record: record["versions"]["django"], reverse=True)
    return found
