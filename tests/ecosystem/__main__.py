"""The command: ``python -m tests.ecosystem``, which ``make ecosystem`` starts."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from tests.conformance import server
from tests.conformance.process import ROOT
from tests.conformance.progress import Display
from tests.ecosystem import environment, page, process, progress, record, source
from tests.ecosystem.expectations import listed
from tests.ecosystem.packages import PACKAGES, Package
from tests.ecosystem.suite import DJANGO, MODES, Suite

CELLS = sorted({package.cell for package in PACKAGES.values() if package.cell})


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.ecosystem",
        description="Run other people's suites on turbo-orm, and compare with Django alone.",
        epilog=f"{server.VARIABLE} names a PostgreSQL server; otherwise one is started. What a "
        f"package has come to in all modes is recorded, and written into docs/ecosystem.md.",
    )
    parser.add_argument(
        "--packages", nargs="+", default=[], choices=PACKAGES, metavar="NAME", help="Default: all"
    )
    parser.add_argument("--cell", choices=CELLS, help="a group of packages")
    parser.add_argument(
        "--modes",
        nargs="+",
        choices=MODES,
        default=[*MODES],
        help="patched: turbo-orm is installed, and all of Django is patched; hot: sync methods "
        "drive their async namesakes, and results are hydrated twice; bridge: the suite runs on "
        "the bridge. Django alone is always run before. Default: all",
    )
    parser.add_argument(
        "--seconds", type=int, default=900, help="how long a suite may take. Default: %(default)s"
    )
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="TEST", help="tests by their ids, for no record"
    )
    parser.add_argument("--no-record", action="store_true", help="write nothing into docs/")
    return parser.parse_args()


def chosen(given: argparse.Namespace) -> list[Package]:
    """Return the packages that are to be run, with the tests that are."""
    found = [
        package
        for name, package in PACKAGES.items()
        if (name in given.packages or not given.packages)
        and (not given.cell or package.cell == given.cell)
        and not package.left_out
    ]
    if given.only:
        return [package.only(given.only) for package in found]
    return [package.only(package.few) if given.cell else package for package in found]


def main() -> int:
    given = arguments()
    packages = chosen(given)
    console = Console()
    environment.make(packages)
    folders = {package.name: source.folder(package) for package in packages}
    is_recorded = {*given.modes} == {*MODES} and not (given.cell or given.only or given.no_record)
    done: list[Suite] = []
    with server.server() as dsn:
        for package in packages:
            suites = run(console, package, folders[package.name], dsn, given)
            if is_recorded:
                record.write(package, suites, dsn)
                page.write()
            done += suites
    progress.print_table(console, done)
    if is_recorded:
        console.print(f"{page.PATH.relative_to(ROOT)} is written.")
    is_good = all(suite.is_good for suite in done)
    console.print("[green]All as expected.[/]" if is_good else "[red]Not as expected.[/]")
    return 0 if is_good else 1


def run(
    console: Console, package: Package, folder: Path, dsn: str, given: argparse.Namespace
) -> list[Suite]:
    """Run the tests of a package in Django alone and in each mode."""
    done: list[Suite] = []
    for mode in (DJANGO, *[mode for mode in MODES if mode in given.modes]):
        expected = done[0].outcomes if done else {}
        suite = Suite(package.name, mode, expected, listed(package.name, mode))
        console.print(f"==> {package.name} {package.version}, {mode}")
        with Display(console, suite) as display:
            process.run(
                suite,
                package,
                folder,
                dsn,
                display.heard,
                python=environment.python(),
                patience=given.seconds,
            )
        progress.print_failures(console, suite)
        done.append(suite)
    return done


if __name__ == "__main__":
    sys.exit(main())
