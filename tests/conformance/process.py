"""Runs a part in worker processes, each with databases of its own, and hears of each test."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.conformance.part import COUNTED, VARIANTS, Part, Settings
from tests.support.databases import database

ROOT = Path(__file__).resolve().parent.parent.parent

type Heard = Callable[[dict[str, Any]], None]


def run(part: Part, folder: Path, dsn: str, jobs: int, heard: Heard) -> None:
    """Run a part's labels, so many processes at a time, and have the part note the outcomes."""
    shares = [share for share in (part.labels[job::jobs] for job in range(jobs)) if share]
    with ThreadPoolExecutor(len(shares)) as threads:
        for job, share in enumerate(shares):
            threads.submit(_run_worker, part, folder, share, _databases(part, dsn, job), heard)


def _databases(part: Part, dsn: str, job: int) -> dict[str, Any]:
    settings = VARIANTS[part.variant]
    return {
        alias: _database(
            settings, dsn, f"conformance_{os.getpid()}_{job}_{alias}", part.mode == "django"
        )
        for alias in ("default", "other")
    }


def _database(settings: Settings, dsn: str, name: str, is_djangos: bool) -> dict[str, Any]:
    entry = database(dsn, **dict(settings.database), NAME=name)
    if is_djangos:
        entry["ENGINE"] = "django.db.backends.postgresql"
    entry["OPTIONS"] |= dict(settings.options)
    if settings.pool:
        entry["OPTIONS"]["pool"] = {"min_size": 0, "max_size": 8, "timeout": 10}
    return entry


def _run_worker(
    part: Part, folder: Path, labels: list[str], databases: dict[str, Any], heard: Heard
) -> None:
    try:
        _hear(part, folder, labels, databases, heard)
    except Exception as error:
        part.errors.append(repr(error))


def _hear(
    part: Part, folder: Path, labels: list[str], databases: dict[str, Any], heard: Heard
) -> None:
    varies = {
        "mode": part.mode,
        "patched": part.is_patched,
        "twice": part.is_twice,
        "use_tz": VARIANTS[part.variant].use_tz,
        "all_managers": VARIANTS[part.variant].all_managers,
        "databases": databases,
    }
    path = [str(ROOT), str(ROOT / "examples"), os.environ.get("PYTHONPATH", "")]
    ears, mouth = os.pipe()
    environment = {
        **os.environ,
        # Each statement that is reused is compared with the one that Django would execute.
        "TURBO_ORM_VERIFY": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "TURBO_ORM_CONFORMANCE": json.dumps(varies),
        "TURBO_ORM_CONFORMANCE_CHANNEL": str(mouth),
    }
    command = [sys.executable, "-m", "tests.conformance.worker", folder, *labels]
    running = ""
    with tempfile.TemporaryFile("w+") as log, os.fdopen(ears) as channel:
        worker = subprocess.Popen(
            command, env=environment, pass_fds=[mouth], stdout=log, stderr=subprocess.STDOUT
        )
        os.close(mouth)
        for line in channel:
            event = json.loads(line)
            running = event.get("running", running)
            if "outcome" in event:
                event["expected"] = part.note(event["test"], event["outcome"], event["detail"])
            if "ended" in event:
                for name in COUNTED:
                    setattr(part, name, getattr(part, name) + event.get(name, 0))
                part.look_ups.update(event.get("look_ups", {}))
            heard(event)
        if worker.wait():
            log.seek(0)
            last = "".join(log.readlines()[-30:])
            part.errors.append(
                f"The process of {' '.join(labels)} has ended with {worker.returncode}, "
                f"in or after {running}:\n{last}"
            )
