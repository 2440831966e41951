"""Lets many tasks loose on a small pool, cancels some, and audits: python -m tests.faults.soak

A process of its own has settings of its own, and no other test's memory.
"""

import argparse
import asyncio
import gc
import json
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django
from django.conf import settings
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.faults.topologies import TOPOLOGIES, Topology

# The part of the time after which memory has to stay as it is.
WARM = 1 / 3
# So many orders are carried out before that, however slow the machine is: each kind, in each way.
WARM_ORDERS = 600
# What the interpreter may keep in excess. A leak is a block for each order at the least.
BLOCKS = 2000
BLOCKS_OF_AN_ORDER = 0.2
BYTES = 16_000_000
# So often is memory measured, until it stays as it is: what is cached is full at some time, and a
# leak grows each time.
MEASURED = 4


def soak(options: argparse.Namespace, topology: Topology, console: Console) -> dict[str, Any]:
    """Return what happened, and what holds of it."""
    from django.db import connections

    # The models are there once Django is set up.
    from tests.faults.bank import Bank, Fate
    from tests.faults.clerks import Clerks, at_rest, cursors_on_all
    from tests.support.endurance import resident
    from tests.support.event_loop import only_the_event_loop

    bank = Bank(options.seed, books="books")
    bank.open()
    topology.ready()
    clerks = Clerks(bank, options.tasks, options.cancelled, topology.pools)
    columns = [TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()]
    with (
        Progress(*columns, console=console, auto_refresh=False) as progress,
        only_the_event_loop(),
        asyncio.Runner() as runner,
    ):
        bar = progress.add_task("soaking", total=options.seconds)

        def work(begin: float, end: float) -> list[int]:
            def tick(gone: float) -> None:
                progress.update(bar, completed=begin + gone, refresh=True)

            runner.run(clerks.work(end - begin, tick))
            _, tasks = runner.run(at_rest(topology.pools))
            gc.collect()
            return [clerks.orders, tasks, sys.getallocatedblocks(), resident()]

        warm = options.seconds * WARM
        before = work(0, warm)
        while clerks.orders < WARM_ORDERS:
            before = work(0, warm)
        for _ in range(MEASURED):
            after = work(warm, options.seconds)
            orders, tasks, blocks, size = (b - a for a, b in zip(before, after, strict=True))
            level = blocks < BLOCKS + orders * BLOCKS_OF_AN_ORDER
            if level and size < BYTES:
                break
            before = after
        progress.update(bar, completed=options.seconds, description="soaked", refresh=True)
        cursors = sum(
            runner.run(cursors_on_all(alias, topology.sessions)) for alias in topology.pools
        )
        pools, _ = runner.run(at_rest(topology.pools))
    audit = bank.audit()
    connections["books"].close()
    return {
        "seed": options.seed,
        "orders": {
            kind: {fate.name.lower(): counts[fate] for fate in Fate if fate is not Fate.NONE}
            for kind, counts in bank.counts.items()
        },
        "per second": round(orders / (options.seconds - warm)),
        "grown": {"orders": orders, "blocks": blocks, "bytes": size},
        "resident": {"first": before[-1], "last": after[-1]},
        "pools": pools,
        "own rows read": dict(bank.reads),
        "servers": topology.told(),
        "failures": dict(clerks.failures.most_common(10)),
        "held": {
            **audit,
            **topology.held(),
            "each database was read": all(bank.reads[alias] for alias in topology.pools),
            "no order failed": not clerks.failures,
            "no task is stuck": clerks.stuck == 0,
            "no task is left over": tasks <= 0,
            # It is an exception if not all connections can be had at once.
            "no cursor is left on a connection": cursors == 0,
            "nobody waits for a connection": not any(
                pool.get("requests_waiting", 0) for pool in pools.values()
            ),
            "no pool is larger than it may be": all(
                pool["pool_size"] <= options.connections for pool in pools.values()
            ),
            "blocks of memory are level": level,
            "the memory of the process is level": size < BYTES,
        },
    }


@contextmanager
def project(options: argparse.Namespace) -> Iterator[Topology]:
    """Set Django up, with databases that are there for the block."""
    with TOPOLOGIES[options.through](options.connections) as topology:
        settings.configure(
            DATABASES=topology.databases,
            ASYNC_BACKEND_DISABLE_POOL_WARNING=True,
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
            INSTALLED_APPS=["django.contrib.contenttypes", "turbo_orm", "tests.library"],
            SECRET_KEY="for tests only",
            TURBO_ORM={"MULTIPLEX": options.multiplex, **topology.turbo_orm},
            USE_TZ=True,
            **topology.settings,
        )
        django.setup()
        from django.db import connections

        from tests.library.models import Account, Entry

        with connections["books"].schema_editor() as editor:
            editor.create_model(Account)
            editor.create_model(Entry)
        yield topology


def show(found: dict[str, Any], console: Console) -> None:
    """Print what happened."""
    table = Table(title=f"Orders, {found['per second']} a second (--seed {found['seed']})")
    table.add_column("Order")
    for heading in ("Done", "Undone", "Cancelled"):
        table.add_column(heading, justify="right")
    for kind, fates in found["orders"].items():
        table.add_row(kind, *(f"{fates[fate]:,}" for fate in ("done", "undone", "unknown")))
    console.print(table)
    table = Table(title="What has to hold")
    table.add_column("")
    table.add_column("")
    for what, holds in found["held"].items():
        table.add_row(what, "yes" if holds else "[bold red]NO[/]")
    console.print(table)
    grown = found["grown"]
    console.print(
        f"Over {grown['orders']:,} orders after the warm-up, memory grew by {grown['blocks']:,} "
        f"blocks and {grown['bytes'] / 1e6:.1f} MB, from {found['resident']['first'] / 1e6:.1f} "
        f"to {found['resident']['last'] / 1e6:.1f} MB."
    )
    for alias, pool in found["pools"].items():
        console.print(f"Pool of {alias}: {numbers(pool)}")
    console.print(f"Own rows read: {numbers(found['own rows read'])}")
    console.print(f"Servers: {numbers(found['servers'])}")
    for failure, count in found["failures"].items():
        console.print(f"{count:,} × {failure}", markup=False)


def numbers(found: dict[str, int]) -> str:
    return ", ".join(f"{name} {value:,}" for name, value in found.items())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make soak", description="Let many tasks loose on a small pool, and audit."
    )
    parser.add_argument(
        "--through",
        choices=[name for name in TOPOLOGIES if name],
        help="what is between the tasks and the database: a PgBouncer that pools transactions,"
        " or a router that reads from a late replica (nothing)",
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long (%(default)s)")
    parser.add_argument("--tasks", type=int, default=2000, help="at a time (%(default)s)")
    parser.add_argument("--connections", type=int, default=10, help="of the pool (%(default)s)")
    parser.add_argument(
        "--cancelled", type=float, default=0.05, help="the part that is (%(default)s)"
    )
    parser.add_argument(
        "--multiplex", type=int, default=0, help="connections that are shared (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of chance")
    parser.add_argument("--json", action="store_true", help="print what happened as JSON")
    return parser.parse_args()


def main() -> int:
    options = parse()
    console = Console(stderr=options.json)
    console.print(f"Seed: {options.seed}")
    with project(options) as topology:
        found = soak(options, topology, console)
    if options.json:
        print(json.dumps(found))
    else:
        show(found, console)
    return 0 if all(found["held"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
