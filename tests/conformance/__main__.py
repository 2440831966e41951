"""The command: ``python -m tests.conformance``, which ``make conformance`` starts."""

import argparse
import os
import sys
import time
from functools import partial
from itertools import chain
from pathlib import Path

import django
from rich.console import Console

from tests.conformance import page, process, progress, record, server, source
from tests.conformance.labels import GROUPS
from tests.conformance.part import DJANGO, REQUESTS, VARIANTS, Part, is_gis, parts

MODES = ("hot", "loop", "bridge", *REQUESTS, DJANGO)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance",
        description="Run Django's own tests on turbo-orm, and compare with what is expected.",
        epilog=f"{server.VARIABLE} names a PostgreSQL server; otherwise one is started. A run of "
        f"everything is recorded, and written into docs/conformance.md.",
    )
    parser.add_argument(
        "--mode",
        nargs="+",
        choices=MODES,
        default=["hot"],
        help="hot: sync methods drive their async namesakes without an event loop; loop: on "
        "one; bridge: the sync ORM runs on the bridge; requests: turbo-orm's handlers answer "
        "requests, and sync views run in a thread; requests-bridge: they run on the bridge; "
        "django: nothing of turbo-orm. Default: hot",
    )
    parser.add_argument(
        "--labels",
        nargs="*",
        default=[],
        metavar="LABEL",
        help=f"labels of Django's test runner, or groups of them: {', '.join(GROUPS)}",
    )
    parser.add_argument(
        "--variant",
        nargs="*",
        default=[],
        choices=[name for name in VARIANTS if name],
        help="settings to run the labels with",
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes. Default: one a core"
    )
    parser.add_argument("--no-record", action="store_true", help="write nothing into docs/")
    parser.add_argument(
        "--cache-info",
        action="store_true",
        help="print each reason why the query cache was bypassed, with how often it was",
    )
    return parser.parse_args()


def main() -> int:
    given = arguments()
    labels = {mode: labels_of(given.labels, mode) for mode in given.mode}
    if given.variant and not given.labels:
        labels = dict.fromkeys(labels, GROUPS["largest"])
    console = Console()
    folder = source.folder()
    named = dict.fromkeys(chain(*labels.values()))
    unknown = [label for label in named if not (folder / label.split(".")[0]).is_dir()]
    if unknown:
        sys.exit(f"Django {django.get_version()} has no tests called {', '.join(unknown)}.")
    with server.server(is_gis(named)) as dsn:
        refuse_poor_server(dsn, [*named])
        return max(
            [run(console, folder, dsn, mode, chosen, given) for mode, chosen in labels.items()]
        )


def labels_of(words: list[str], mode: str) -> list[str]:
    """Return the labels that words name. A group may have others for requests."""
    groups = GROUPS
    if mode in REQUESTS:
        groups = GROUPS | {"fast": GROUPS["fast-requests"]}
    return [label for word in words for label in groups.get(word, [word])]


def refuse_poor_server(dsn: str, labels: list[str]) -> None:
    lacks = server.lacks(dsn)
    needy = {label.split(".")[0] for label in labels or GROUPS["orm"]} & {*GROUPS["needy"]}
    if lacks and needy:
        sys.exit(
            f"The server lacks {', '.join(lacks)}, without which {', '.join(sorted(needy))} "
            f"cannot be run. Install PostgreSQL with its contrib modules, or name a server that "
            f"has them by {server.VARIABLE}."
        )


def run(
    console: Console,
    folder: Path,
    dsn: str,
    mode: str,
    labels: list[str],
    given: argparse.Namespace,
) -> int:
    started = time.monotonic()
    done: list[Part] = []
    for part in parts(mode, labels, given.variant):
        run_part = partial(_run_part, console, folder, dsn, max(given.jobs, 1))
        if part.variant or part.is_gis:
            # Some of the tests need the settings that they are written for, or newer libraries.
            run_part(baseline := part.baseline())
            part.expect(baseline)
        run_part(part)
        part.finish()
        progress.print_part(console, part, given.cache_info)
        done.append(part)
    is_good = all(part.is_good for part in done)
    if not labels and is_good and not given.no_record and mode != DJANGO:
        record.write(mode, done, dsn, time.monotonic() - started)
        page.write()
        console.print(f"{page.PATH.relative_to(process.ROOT)} is written.")
    console.print("[green]All as expected.[/]" if is_good else "[red]Not as expected.[/]")
    return 0 if is_good else 1


def _run_part(console: Console, folder: Path, dsn: str, jobs: int, part: Part) -> None:
    console.print(
        f"==> Django {django.get_version()}, {part.mode}: {part.name}, {len(part.labels)} labels"
    )
    with progress.Display(console, part) as display:
        process.run(part, folder, dsn, jobs, display.heard)


if __name__ == "__main__":
    sys.exit(main())
