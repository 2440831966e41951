"""Lets many tasks loose on a small pool, cancels some, and audits: python -m tests.faults.soak

A process of its own has settings of its own, and no other test's memory.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django
import psycopg
from django.conf import settings
from psycopg import sql
from psycopg.conninfo import make_conninfo
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from atlas.postgres import server_dsn
from tests.support.databases import database

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


def soak(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Return what happened, and what holds of it."""
    # The models are there once Django is set up.
    from tests.faults.bank import Bank, Fate
    from tests.faults.clerks import Clerks, at_rest, cursors_on_all
    from tests.support.endurance import resident
    from tests.support.event_loop import only_the_event_loop

    bank = Bank(options.seed, books="books")
    bank.open()
    clerks = Clerks(bank, options.tasks, options.cancelled)
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
            _, tasks = runner.run(at_rest())
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
        cursors = runner.run(cursors_on_all(options.connections))
        pool, _ = runner.run(at_rest())
    return {
        "seed": options.seed,
        "orders": {
            kind: {fate.name.lower(): counts[fate] for fate in Fate if fate is not Fate.NONE}
            for kind, counts in bank.counts.items()
        },
        "per second": round(orders / (options.seconds - warm)),
        "grown": {"orders": orders, "blocks": blocks, "bytes": size},
        "pool": pool,
        "failures": dict(clerks.failures.most_common(10)),
        "held": {
            **bank.audit(),
            "no order failed": not clerks.failures,
            "no task is stuck": clerks.stuck == 0,
            "no task is left over": tasks <= 0,
            # It is an exception if not all connections can be had at once.
            "no cursor is left on a connection": cursors == 0,
            "nobody waits for a connection": pool.get("requests_waiting", 0) == 0,
            "the pool is no larger than it may be": pool["pool_size"] <= options.connections,
            "no connection is left open": others() == 0,
            "blocks of memory are level": level,
            "the memory of the process is level": size < BYTES,
        },
    }


def others() -> int:
    """Return how many clients the database has beside this one."""
    from django.db import connections

    with connections["books"].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        (count,) = cursor.fetchone()
    return int(count)


@contextmanager
def project(options: argparse.Namespace) -> Iterator[None]:
    """Set Django up, with a database that is there for the block."""
    dsn = server_dsn("TURBO_ORM_TEST_DSN")
    name = f"turbo_orm_soak_{os.getpid()}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        books = database(make_conninfo(dsn, dbname=name))
        pool = {"min_size": 1, "max_size": options.connections, "timeout": 120}
        settings.configure(
            DATABASES={
                "default": {**books, "OPTIONS": {**books["OPTIONS"], "pool": pool}},
                # The same, for Django's sync ORM.
                "books": books,
            },
            ASYNC_BACKEND_DISABLE_POOL_WARNING=True,
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
            INSTALLED_APPS=["django.contrib.contenttypes", "turbo_orm", "tests.library"],
            SECRET_KEY="for tests only",
            TURBO_ORM={"MULTIPLEX": options.multiplex},
            USE_TZ=True,
        )
        django.setup()
        from django.db import connections

        from tests.library.models import Account, Entry

        with connections["books"].schema_editor() as editor:
            editor.create_model(Account)
            editor.create_model(Entry)
        yield
        connections["books"].close()
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )


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
        f"blocks and {grown['bytes'] / 1e6:.1f} MB."
    )
    console.print(
        f"Pool: {', '.join(f'{name} {value:,}' for name, value in found['pool'].items())}"
    )
    for failure, count in found["failures"].items():
        console.print(f"{count:,} × {failure}", markup=False)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make soak", description="Let many tasks loose on a small pool, and audit."
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
    with project(options):
        found = soak(options, console)
    if options.json:
        print(json.dumps(found))
    else:
        show(found, console)
    return 0 if all(found["held"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
