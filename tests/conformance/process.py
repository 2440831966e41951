"""Runs a part in worker processes, each with databases of its own, and hears of each test."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.conformance.part import COUNTED, DJANGO, VARIANTS, Part, Settings
from tests.support import postgis
from tests.support.databases import ENGINE, database

ROOT = Path(__file__).resolve().parent.parent.parent

_DJANGOS_POSTGIS = "django.contrib.gis.db.backends.postgis"

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
        alias: _database(settings, dsn, f"conformance_{os.getpid()}_{job}_{alias}", _engine(part))
        for alias in ("default", "other")
    }


def _engine(part: Part) -> str:
    if part.mode == DJANGO:
        return _DJANGOS_POSTGIS if part.is_gis else "django.db.backends.postgresql"
    return postgis.ENGINE if part.is_gis else ENGINE


def _database(settings: Settings, dsn: str, name: str, engine: str) -> dict[str, Any]:
    entry = database(dsn, **dict(settings.database), NAME=name, ENGINE=engine)
    if engine == postgis.ENGINE:
        # The pool that it has by default: other parts have an engine without one.
        entry["OPTIONS"]["pool"] = False
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
        "settings": postgis.settings() if part.is_gis else {},
    }
    path = [str(ROOT), str(ROOT / "examples"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        **(postgis.environment() if part.is_gis else {}),
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "TURBO_ORM_CONFORMANCE": json.dumps(varies),
    }
    command = [sys.executable, "-m", "tests.conformance.worker", folder, *labels]

    def hear(event: dict[str, Any]) -> None:
        part.look_ups.update(event.get("look_ups", {}))
        heard(event)

    if wrong := run_worker(command, environment, part, COUNTED, hear):
        part.errors.append(f"The process of {' '.join(labels)} {wrong}")


def run_worker(
    command: Sequence[str | Path],
    environment: dict[str, str],
    outcomes: Any,
    counted: Iterable[str],
    heard: Heard,
    *,
    folder: Path | None = None,
    seconds: float | None = None,
) -> str:
    """Run a worker, and have a part, or the like, note what it tells. Return what is wrong.

    What it counts is added to the attributes of these names. It is killed after so many seconds.
    """
    ears, mouth = os.pipe()
    environment |= {
        # Each statement that is reused is compared with the one that Django would execute.
        "TURBO_ORM_VERIFY": "1",
        "TURBO_ORM_CONFORMANCE_CHANNEL": str(mouth),
    }
    running = ""
    with tempfile.TemporaryFile("w+") as log, os.fdopen(ears) as channel:
        worker = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            pass_fds=[mouth],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        os.close(mouth)
        timer = threading.Timer(seconds or threading.TIMEOUT_MAX, worker.kill)
        timer.daemon = True
        timer.start()
        for line in channel:
            event = json.loads(line)
            running = event.get("running", running)
            if "outcome" in event:
                event["expected"] = outcomes.note(event["test"], event["outcome"], event["detail"])
            if "ended" in event:
                for name in counted:
                    setattr(outcomes, name, getattr(outcomes, name) + event.get(name, 0))
            heard(event)
        code = worker.wait()
        timer.cancel()
        if not code:
            return ""
        log.seek(0)
        last = "".join(log.readlines()[-40:])
        return f"has ended with {code}, in or after {running}:\n{last}"
