"""The source distributions of the packages."""

from pathlib import Path

from tests.conformance.source import CACHE, distribution
from tests.ecosystem.packages import Package


def folder(package: Package) -> Path:
    """Return the folder of a package's source distribution. It is fetched once."""
    return distribution(package.name, package.version, CACHE / "ecosystem")
