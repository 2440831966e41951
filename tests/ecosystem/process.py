"""Runs a suite in a process of its own, and hears of each test."""

import json
import os
import time
from pathlib import Path
from typing import Any

from tests.conformance.process import ROOT, Heard, run_worker
from tests.ecosystem.packages import Package
from tests.ecosystem.suite import COUNTED, DJANGO, Suite
from tests.support.databases import database

_ENGINES = {True: "django.db.backends.postgresql", False: "turbo_orm.backends.postgresql"}

_CONFIGURATIONS = {
    "pytest.ini": "[pytest]",
    "pyproject.toml": "[tool.pytest",
    "tox.ini": "[pytest]",
    "setup.cfg": "[tool:pytest]",
}


def run(
    suite: Suite,
    package: Package,
    folder: Path,
    dsn: str,
    heard: Heard,
    *,
    python: str | Path,
    patience: int = 900,
) -> None:
    """Run a suite, for so many seconds at most, and have it note the outcomes."""
    started = time.monotonic()
    is_djangos = suite.mode == DJANGO
    name = f"ecosystem_{os.getpid()}"
    varies = {
        "mode": suite.mode,
        "is_patched": False,
        "twice": suite.mode == "hot",
        "root": str(ROOT),
        "path": [str(folder / each) for each in package.path],
        "configure": package.configure,
        "extensions": package.extensions,
        "override": package.override | ({} if is_djangos else {"TURBO_ORM": _turbo_orm(suite)}),
        "database": database(dsn, NAME=name, ENGINE=_ENGINES[is_djangos]),
    }
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TURBO_ORM_ECOSYSTEM": json.dumps(varies),
        **package.environment,
    }
    if package.settings:
        variables["DJANGO_SETTINGS_MODULE"] = package.settings
    # Without the folder itself, whose tests have the name of ours.
    command = [python, "-P", "-m", "tests.ecosystem.worker", *_arguments(package, folder)]
    wrong = run_worker(command, variables, suite, COUNTED, heard, folder=folder, seconds=patience)
    if wrong:
        suite.errors.append(f"The process {wrong}")
    suite.seconds = time.monotonic() - started
    suite.finish()


def _turbo_orm(suite: Suite) -> dict[str, Any]:
    is_hot = suite.mode == "hot"
    return {"PATCH_DJANGO": not is_hot, "QUERY_CACHE_ALL_MANAGERS": not is_hot}


def _arguments(package: Package, folder: Path) -> list[str]:
    """Return what pytest is given: the package's own configuration, and nothing of ours."""
    for name, section in _CONFIGURATIONS.items():
        path = folder / name
        if path.exists() and section in path.read_text(encoding="utf-8"):
            break
    else:
        path = folder / ".ecosystem.ini"
        path.write_text("[pytest]\n", encoding="utf-8")
    options = ["-c", path.name, "--rootdir", ".", "-o", "addopts=", "-p", "no:cacheprovider"]
    return [*options, "--continue-on-collection-errors", "-q", *package.tests]
