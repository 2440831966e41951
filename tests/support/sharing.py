"""A pool that shares connections at once, and looks at them when a test says so."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.contrib.postgres.signals import register_type_handlers
from django.db import connections
from django.db.backends.signals import connection_created
from django.test.utils import override_settings
from psycopg.pq import PipelineStatus, TransactionStatus

from tests.faults.aliases import known_as
from tests.library.models import Account
from tests.support.clients import until
from tests.support.statements import ask
from turbo_orm import async_atomic
from turbo_orm.driver import durations, multiplexing
from turbo_orm.driver.multiplexing import Multiplexer, SharedConnection
from turbo_orm.driver.pool import Pool, loop_pools

ALIAS = "sharing"
ANY: Any = SimpleNamespace(statement=SimpleNamespace(is_shareable=True, seconds=0.0))


@contextmanager
def sharing(
    entry: dict[str, Any] | None = None, number: int = 1, *, looks: bool = False, **options: Any
) -> Iterator[None]:
    """Have the tests' database under ``ALIAS``, with a pool of which connections are shared.

    All statements are taken for quick that were not found to be slow. Without ``looks``, a test
    calls ``look()``.
    """
    entry = entry or connections.settings["default"]
    pool = {"min_size": 1, "max_size": 12, "timeout": 20, **options}
    entry = {**entry, "OPTIONS": {**entry["OPTIONS"], "pool": pool}}
    # Statements borrow connections for themselves where no receiver has to be told.
    connection_created.disconnect(register_type_handlers)
    try:
        with (
            pytest.MonkeyPatch.context() as patch,
            known_as(ALIAS, entry),
            override_settings(TURBO_ORM={**settings.TURBO_ORM, "MULTIPLEX": number}),
        ):
            patch.setattr(durations, "UNKNOWN", 0.0)
            patch.setattr(durations, "QUICK", durations.SLOW * 0.9)
            patch.setattr(multiplexing, "_BUSY", -1000)
            if not looks:
                patch.setattr(multiplexing, "PATIENCE", 1000.0)
                patch.setattr(multiplexing, "IDLE", math.inf)
            yield
    finally:
        connection_created.connect(register_type_handlers)


def using() -> Any:
    """Return the accounts of the database."""
    return Account.objects.using(ALIAS)


async def balance(number: int) -> int:
    """Return the balance of an account whose owner is a number."""
    found: int = (await using().aget(owner=f"{number}")).balance
    return found


def pool() -> Pool:
    """Return the pool of the running event loop."""
    found = loop_pools().get(ALIAS)
    assert found is not None
    return found


def multiplexer() -> Multiplexer:
    return pool().multiplexer


async def share() -> list[SharedConnection]:
    """Have as many connections be shared as may be, and return them."""

    async def connect() -> None:
        # It is as Django's settings have it then.
        async with async_atomic(ALIAS):
            await barrier.wait()

    if loop_pools().get(ALIAS) is None:
        await asyncio.create_task(ask("SELECT 1", using=ALIAS))
    for each in [*multiplexer().shared]:
        each.end()
    number = multiplexer().number()
    barrier = asyncio.Barrier(number)
    await asyncio.gather(*[asyncio.create_task(connect()) for _ in range(number)])
    terms = pool().terms
    assert terms is not None
    for _ in range(number):
        driver = await pool().driver_pool.getconn()
        while driver.has_ended:
            driver.finish()
            await pool().driver_pool.putconn(driver)
            driver = await pool().driver_pool.getconn()
        assert driver.is_ready(terms.timezone)
        assert not await driver.prepared.ask_whether_off(driver)
        assert multiplexer().adopt(driver, ANY)
    return multiplexer().shared


async def look() -> None:
    """Have the loop look at all shared connections, as their timers would."""
    for each in [*multiplexer().shared, *multiplexer().retired]:
        each._timer.cancel()
        asyncio.get_running_loop().call_soon(each._look)
    await asyncio.sleep(0)


async def at_rest(*, others: int = 0) -> None:
    """Wait until no statement is under way, and see that the pool has all connections, clean."""
    found = multiplexer()
    await until(lambda: not any(map(len, [e.pipeline for e in [*found.shared, *found.retired]])))
    for _ in range(2):
        for each in [*found.shared]:
            found.retire(each)
        await look()
    await until(lambda: not found.retired)
    driver_pool = pool().driver_pool
    await until(
        lambda: driver_pool.get_stats()["pool_available"] == driver_pool._nconns - others > 0
    )
    assert found.shared == []
    assert pool().waiting == 0
    assert not pool().queue.is_waited()
    for driver in driver_pool._pool:
        if driver.has_ended:
            # It will be replaced.
            continue
        assert driver.pgconn.pipeline_status == PipelineStatus.OFF
        assert driver.pgconn.transaction_status == TransactionStatus.IDLE
        assert not driver.lock.locked()
        (result,) = await driver.exchange(b"SELECT 7")
        assert result.get_value(0, 0) == b"7"
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not names & {"turbo_orm-cancelling", "turbo_orm-requester"}


async def prepared_on(driver: Any) -> list[str]:
    """Return the statements that the server has prepared for a connection of the pool."""
    (result,) = await driver.exchange(b"SELECT statement FROM pg_prepared_statements ORDER BY 1")
    return [result.get_value(row, 0).decode() for row in range(result.ntuples)]
