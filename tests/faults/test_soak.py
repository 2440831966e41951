"""Many tasks over a small pool, some cancelled: nothing is lost, nothing is left."""

import json
import os
import subprocess
import sys

import pytest

from tests.faults.proxy import dsn_of
from tests.support.project import ROOT

# The seed is of chance: what fails can be had again, or nearly.
ARGUMENTS = ["--seconds", "6", "--tasks", "200", "--connections", "10"]


@pytest.mark.parametrize("multiplex", ["0", "2"])
def test_what_many_tasks_leave_behind(multiplex, tables):
    path = os.pathsep.join([str(ROOT / "examples"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-m",
            "tests.faults.soak",
            "--json",
            *ARGUMENTS,
            "--multiplex",
            multiplex,
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "TURBO_ORM_TEST_DSN": dsn_of("default")},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    broken = [what for what, holds in found.pop("held").items() if not holds]
    assert not broken, (found, done.stderr)
    # Of each kind, some were done, and of all some were cancelled on their way.
    fates = found["orders"].values()
    assert all(order["done"] or order["undone"] for order in fates)
    assert sum(order["unknown"] for order in fates) > 5
