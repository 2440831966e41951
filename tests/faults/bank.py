"""A bank whose books can be audited: whatever happens to its clerks, they have to balance.

Each order has a number. What it writes bears that number, so that one that was lost and one that
was done twice are both seen in the tables at the end.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from django.db.models import F, Sum

from tests.library.models import Account, Entry
from turbo_orm import async_atomic

ACCOUNTS = 50
BALANCE = 1000
TOTAL = ACCOUNTS * BALANCE
ROWS = 5


class Declined(Exception):
    """Raised in the middle of a transaction, which is to be undone."""


class Fate(IntEnum):
    """What is known of an order."""

    NONE = 0
    UNKNOWN = 1
    """It was begun, and cancelled: it is done, or it is not."""
    DONE = 2
    UNDONE = 3


@dataclass
class Drawer:
    """The row of a clerk's own: where it is, and what it holds, as far as that is known."""

    key: int | None = None
    balance: int | None = None


drawer: ContextVar[Drawer] = ContextVar("drawer")


class Bank:
    """Orders to be carried out by many tasks at once, and what is known of them."""

    def __init__(self, seed: int, books: str) -> None:
        """Take a seed, and the alias by which Django's sync ORM finds the tables."""
        self.books = books
        self.random = random.Random(seed)
        # One byte for each order: what is kept in mind must not look like a leak.
        self.fates = bytearray(4_000_000)
        self.kinds = list(self.ORDERS)
        self.placed = 0
        self.counts: dict[str, Counter[Fate]] = {kind: Counter() for kind in self.kinds}
        #: How often clerks have read their own rows, by the database that has answered.
        self.reads: Counter[str] = Counter()
        self.misread = 0

    def open(self) -> None:
        """Open the accounts, in an empty table."""
        Account.objects.using(self.books).bulk_create(
            Account(owner=f"customer {number}", balance=BALANCE) for number in range(ACCOUNTS)
        )

    def order(self) -> tuple[int, str]:
        """Return the number of a new order, and what kind of an order it is."""
        self.placed += 1
        self.fates[self.placed] = Fate.UNKNOWN
        return self.placed, self.random.choice(self.kinds)

    async def carry_out(self, number: int, kind: str) -> None:
        """Do what the order says. Raises what the database does, and ``AssertionError``."""
        try:
            await self.ORDERS[kind](self, number)
        except Declined:
            self._note(number, kind, Fate.UNDONE)
        except BaseException:
            self._note(number, kind, Fate.UNKNOWN)
            raise
        else:
            self._note(number, kind, Fate.DONE)

    def _note(self, number: int, kind: str, fate: Fate) -> None:
        self.fates[number] = fate
        self.counts[kind][fate] += 1

    # Orders

    async def _transfer(self, number: int) -> None:
        async with async_atomic():
            await self._move(number)

    async def _transfer_that_is_declined(self, number: int) -> None:
        async with async_atomic():
            await self._move(number)
            raise Declined

    async def _transfer_within_savepoints(self, number: int) -> None:
        """What is undone of it takes along what was kept in there.

        Nothing is locked there: who waits for a savepoint goes on to wait for its transaction.
        """
        async with async_atomic():
            with suppress(Declined):
                async with async_atomic():
                    async with async_atomic():
                        made = await Account.objects.acreate(owner=f"transfer -{number}")
                        await made.entries.acreate(amount=1)
                    raise Declined
            async with async_atomic():
                await self._move(number)

    async def _move(self, number: int) -> None:
        amount = self.random.randrange(1, 10)
        # In order, so that two transfers never wait for each other.
        first, second = sorted(self.random.sample(range(1, ACCOUNTS + 1), 2))
        locked = Account.objects.select_for_update().filter(pk__in=[first, second])
        giver, taker = await locked.order_by("pk").alist()
        giver.balance -= amount
        await giver.asave(update_fields=["balance"])
        await Account.objects.filter(pk=taker.pk).aupdate(balance=F("balance") + amount)
        await Account.objects.acreate(owner=f"transfer {number}", balance=amount)
        await Entry.objects.abulk_create(
            [Entry(account=giver, amount=-amount), Entry(account=taker, amount=amount)]
        )

    async def _single(self, number: int) -> None:
        await Account.objects.acreate(owner=f"single {number}")

    async def _bulk(self, number: int) -> None:
        await Account.objects.abulk_create(
            [Account(owner=f"bulk {number} {row}") for row in range(ROWS)], batch_size=2
        )

    async def _single_that_is_deleted(self, number: int) -> None:
        made = await Account.objects.acreate(owner=f"deleted {number}")
        await made.adelete()

    async def _shared(self, number: int) -> None:
        """What several ask for at once is there once."""
        name = f"shared {number // 20}"
        account, _ = await Account.objects.aget_or_create(owner=name)
        assert account.owner == name

    async def _own(self, number: int) -> None:
        """Read what was written the last time, write, and read that, at once and after a while.

        A replica that is late has it only then, and reads may go there.
        """
        own = drawer.get()
        await self._read_own(own)
        # Cancelled from here on, it is written or not.
        own.balance = None
        if own.key is None:
            made = await Account.objects.acreate(owner=f"own {number}", balance=number)
            own.key = made.pk
        else:
            assert await Account.objects.filter(pk=own.key).aupdate(balance=number) == 1
        own.balance = number
        await self._read_own(own)
        await asyncio.sleep(self.random.random())
        await self._read_own(own)

    async def _read_own(self, own: Drawer) -> None:
        if own.balance is not None:
            found = await Account.objects.filter(pk=own.key).afirst()
            is_there = found is not None and found.balance == own.balance
            self.misread += not is_there
            assert found is not None, "it is not there"
            assert is_there, f"it is what it was, by {found._state.db!r}"
            self.reads[found._state.db] += 1

    async def _sum(self, number: int) -> None:
        customers = Account.objects.filter(pk__lte=ACCOUNTS)
        assert await customers.aaggregate(total=Sum("balance")) == {"total": TOTAL}

    async def _list(self, number: int) -> None:
        accounts = await Account.objects.filter(pk__lte=ACCOUNTS).alist()
        assert sum(account.balance for account in accounts) == TOTAL

    async def _gather(self, number: int) -> None:
        keys = self.random.sample(range(1, ACCOUNTS + 1), 3)
        found = await asyncio.gather(*(Account.objects.aget(pk=key) for key in keys))
        assert [account.pk for account in found] == keys

    async def _stream(self, number: int) -> None:
        customers = Account.objects.filter(pk__lte=ACCOUNTS)
        async with aclosing(customers.aiterator(chunk_size=7)) as stream:
            assert sum([account.balance async for account in stream]) == TOTAL

    async def _stream_that_is_left(self, number: int) -> None:
        customers = Account.objects.filter(pk__lte=ACCOUNTS).order_by("pk")
        async with aclosing(customers.aiterator(chunk_size=7)) as stream:
            async for account in stream:
                if account.pk == 10:
                    break

    ORDERS: dict[str, Callable[[Any, int], Coroutine[Any, Any, None]]] = {
        "transfer": _transfer,
        "transfer, declined": _transfer_that_is_declined,
        "transfer, in savepoints": _transfer_within_savepoints,
        "insert": _single,
        "insert of many": _bulk,
        "insert and delete": _single_that_is_deleted,
        "get or create": _shared,
        "own row": _own,
        "sum": _sum,
        "list": _list,
        "gather": _gather,
        "stream": _stream,
        "stream that is left": _stream_that_is_left,
    }

    # The audit

    def audit(self) -> dict[str, bool]:
        """Return what has to be true of the tables now, and whether it is. By the sync ORM."""
        accounts = Account.objects.using(self.books)
        entries = Entry.objects.using(self.books)
        owners = accounts.filter(pk__gt=ACCOUNTS).values_list("owner", flat=True)
        written = Counter(tuple(owner.split(" ")[:2]) for owner in owners.iterator())
        customers = accounts.filter(pk__lte=ACCOUNTS).annotate(moved=Sum("entries__amount"))
        balances = [(account.balance, account.moved or 0) for account in customers]
        receipts = accounts.filter(owner__startswith="transfer ")
        return {
            "no money is lost or made": sum(balance for balance, _ in balances) == TOTAL,
            "each balance is what was moved": all(
                balance == BALANCE + moved for balance, moved in balances
            ),
            "each transfer has two entries": entries.count() == 2 * receipts.count(),
            "entries and receipts agree": entries.filter(amount__gt=0).aggregate(x=Sum("amount"))
            == receipts.aggregate(x=Sum("balance")),
            "what was undone left nothing": not any(
                kind == "transfer"
                and (number.startswith("-") or self._fate(number) is Fate.UNDONE)
                for kind, number in written
            ),
            "what was deleted is gone": not any(
                kind == "deleted" and self._fate(number) is Fate.DONE for kind, number in written
            ),
            "many are inserted together, or not at all": all(
                count == ROWS for (kind, _), count in written.items() if kind == "bulk"
            ),
            "all else is there once": all(
                count == 1 for (kind, _), count in written.items() if kind != "bulk"
            ),
            "what was done is there": self._is_complete(written),
            "each task reads what it has written": self.misread == 0,
        }

    def _is_complete(self, written: Counter[tuple[str, ...]]) -> bool:
        """Return whether all is there that was done, and no more beside it than may be."""
        kinds = {
            "transfer": ["transfer", "transfer, in savepoints"],
            "single": ["insert"],
            "bulk": ["insert of many"],
        }
        for name, orders in kinds.items():
            done = sum(self.counts[order][Fate.DONE] for order in orders)
            fates = Counter(self._fate(number) for kind, number in written if kind == name)
            if fates[Fate.DONE] != done or fates.keys() - {Fate.DONE, Fate.UNKNOWN}:
                return False
        return True

    def _fate(self, number: str) -> Fate:
        return Fate(self.fates[int(number)])
