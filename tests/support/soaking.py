"""A soak in a process of its own, and what has to hold of each."""

import json
import os
import subprocess
import sys
from typing import Any

from tests.faults.proxy import dsn_of
from tests.support.project import ROOT


def soaked(*arguments: str) -> dict[str, Any]:
    """Let 200 tasks at a pool of ten for some seconds, and return what happened.

    The seed is of chance: what fails can be had again, or nearly.
    """
    path = os.pathsep.join([str(ROOT / "examples"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-W", "error", "-m", "tests.faults.soak", "--json"]
    done = subprocess.run(
        [*command, "--seconds", "6", "--tasks", "200", "--connections", "10", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "TURBO_ORM_TEST_DSN": dsn_of("default")},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    broken = [what for what, holds in found.pop("held").items() if not holds]
    assert not broken, (found, done.stderr)
    # Of each kind, some were done, and of all some were cancelled on their way.
    fates = found["orders"].values()
    assert all(order["done"] or order["undone"] for order in fates)
    assert sum(order["unknown"] for order in fates) > 5
    return found
