"""Tasks that write while their primary is lost, and what they were told of each write."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from time import monotonic

from django.db import DatabaseError, InterfaceError

from tests.library.models import Account
from tests.support.clients import until
from tests.topology.cluster import Node
from turbo_orm import async_atomic

TASKS = 200
# How long they may be without a new primary after the promotion. It is measured and printed.
BOUND = 20

# What a write may raise whose commit was not acknowledged: it may be there, or not.
LOST = (DatabaseError, InterfaceError)


class Clerks:
    """Tasks that write rows of names that no other has, and note what was acknowledged."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.numbers = count()
        self.acknowledged: dict[str, float] = {}
        self.lost: list[str] = []
        self.end = asyncio.Event()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Have all of them write, before the block and to its end."""
        async with asyncio.TaskGroup() as group:
            for number in range(TASKS):
                group.create_task(self._work(in_transaction=bool(number % 2)))
            await until(lambda: len(self.acknowledged) >= 2 * TASKS)
            yield
            self.end.set()

    async def _work(self, in_transaction: bool) -> None:
        accounts = Account.objects.using(self.alias)
        while not self.end.is_set():
            owner = f"clerk {next(self.numbers)}"
            try:
                if in_transaction:
                    async with async_atomic(self.alias):
                        await accounts.acreate(owner=owner)
                        await accounts.filter(owner=owner).aupdate(balance=1)
                else:
                    await accounts.acreate(owner=owner, balance=1)
            except LOST:
                self.lost.append(owner)
                await asyncio.sleep(0.05)
            else:
                self.acknowledged[owner] = monotonic()

    async def go_on(self, promoted: float) -> float:
        """Wait until the new primary has acknowledged a write for each. Return when the first."""
        before = len(self.acknowledged)
        while len(self.acknowledged) < before + TASKS:
            assert monotonic() < promoted + BOUND, "The new primary was not found."
            await asyncio.sleep(0.01)
        return list(self.acknowledged.values())[before]

    def audit(self, primary: Node) -> None:
        """Hold what a primary has against what was acknowledged."""
        found = primary.execute("SELECT owner, balance FROM library_account")
        rows = dict(found)
        assert {owner for owner in self.acknowledged if owner not in rows} == set()
        # No transaction was done by half, and none twice.
        assert set(rows.values()) == {1}
        assert len(rows) == len(found)
        assert rows.keys() <= self.acknowledged.keys() | {*self.lost}
