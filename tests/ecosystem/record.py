"""What the run of a package has come to: a file for each."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.conformance.record import today, versions
from tests.ecosystem.packages import PACKAGES, Package
from tests.ecosystem.suite import COUNTED, Suite

FOLDER = Path(__file__).parent / "records"


def write(package: Package, suites: Iterable[Suite], dsn: str) -> None:
    """Write the record of a package in Django alone and in all modes, in place of an older one."""
    record = {
        "package": package.name,
        "version": package.version,
        "date": today(),
        "versions": versions(dsn),
        "modes": {suite.mode: _suite(suite) for suite in suites},
    }
    path = FOLDER / f"{package.name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _suite(suite: Suite) -> dict[str, Any]:
    return {
        "seconds": round(suite.seconds),
        "counts": {name: number for name, number in sorted(suite.counts.items()) if number},
        "new": sorted(suite.failures),
        "errors": len(suite.errors),
        **{name: getattr(suite, name) for name in COUNTED},
    }


def read() -> list[dict[str, Any]]:
    """Return the records, in the order of the packages."""
    paths = [FOLDER / f"{name}.json" for name in PACKAGES]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]
