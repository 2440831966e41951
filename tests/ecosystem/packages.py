"""The packages whose tests are run: their recipes, and their versions."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

FOLDER = Path(__file__).parent
#: The version of each package, and of what its tests need.
CONSTRAINTS = FOLDER / "constraints.txt"


@dataclass(frozen=True)
class Package:
    """A package, and how its tests are run."""

    name: str
    #: What is given to pytest: files and folders of the source distribution, and options.
    tests: tuple[str, ...] = ()
    #: The module of settings, where no file of the package configures Django.
    settings: str = ""
    #: A function that returns the settings ("module:name"), where there is no such module.
    configure: str = ""
    #: What else is installed for the tests.
    requires: tuple[str, ...] = ()
    #: Folders that modules are imported from, before that of the source distribution itself.
    path: tuple[str, ...] = ()
    #: Settings that the package's are overridden by.
    override: dict[str, object] = field(default_factory=dict)
    #: Variables of the environment.
    environment: dict[str, str] = field(default_factory=dict)
    #: The extensions that the tests need, which not every server has.
    extensions: tuple[str, ...] = ()
    #: A group of packages, and those of the tests that are run for it, if not all are.
    cell: str = ""
    few: tuple[str, ...] = ()
    #: Why its tests cannot be run, if they cannot.
    left_out: str = ""

    @property
    def version(self) -> str:
        """The version that is pinned."""
        return versions()[self.name.lower()]

    def only(self, tests: Sequence[str]) -> "Package":
        """Return the same with these tests alone, and the same options, if there are any."""
        options = [each for each in self.tests if each.startswith("-")]
        return replace(self, tests=(*options, *tests)) if tests else self


def _tuples(recipe: dict[str, object]) -> dict[str, object]:
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in recipe.items()
    }


def versions() -> dict[str, str]:
    """Return what is pinned, by name."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pins = (line.split("#")[0].strip().partition("==") for line in lines)
    return {name.lower(): version for name, _, version in pins if version}


#: By name, in the order that they are run in.
PACKAGES: dict[str, Package] = {
    name: Package(name, **_tuples(recipe))  # type: ignore[arg-type]
    for name, recipe in tomllib.loads(
        (FOLDER / "packages.toml").read_text(encoding="utf-8")
    ).items()
}
