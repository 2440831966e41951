"""The tests that fail with turbo-orm alone, each with the fact about it that it fails by.

What fails and is not listed fails the run, and so does what is listed and passes.
"""

import tomllib
from typing import NamedTuple

from tests.ecosystem.packages import FOLDER
from tests.ecosystem.suite import MODES


class Expected(NamedTuple):
    package: str
    tests: tuple[str, ...]
    reason: str
    modes: tuple[str, ...] = MODES


EXPECTED = [
    Expected(
        entry["package"],
        tuple(entry["tests"]),
        entry["reason"],
        tuple(entry.get("modes", MODES)),
    )
    for entry in tomllib.loads((FOLDER / "expectations.toml").read_text(encoding="utf-8"))[
        "expected"
    ]
]


def listed(package: str, mode: str) -> dict[str, str]:
    """Return the reasons by test, for a package in a mode."""
    return {
        test: entry.reason
        for entry in EXPECTED
        if entry.package == package and mode in entry.modes
        for test in entry.tests
    }
