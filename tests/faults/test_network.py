"""The network fails at every place of the traffic: what Django raises, and the rows it leaves."""

import asyncio
import gc
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import OperationalError
from django.db.transaction import TransactionManagementError

from tests.faults.aliases import FAR, far
from tests.faults.fault import Action, Fault, Toward
from tests.faults.outcomes import at_rest, of_django, of_turbo
from tests.faults.proxy import Proxy
from tests.library.models import Account


@pytest.fixture(scope="module")
def proxy(tables):
    with Proxy() as proxy, far(proxy.database()):
        yield proxy


LOST = (OperationalError, None)


class OfNoAccount(Exception):
    """Raised by the tests alone."""


async def read(p, accounts):
    await p.list(accounts.order_by("pk"))


async def iterate(p, accounts):
    await p.iterate(accounts.order_by("pk"), chunk_size=1)


async def iterate_in_a_transaction(p, accounts):
    async with p.atomic(using=accounts.db):
        await p.call(accounts, "create", owner="Di")
        await iterate(p, accounts)


async def write(p, accounts):
    await p.call(accounts, "create", owner="Di")


async def transact(p, accounts):
    async with p.atomic(using=accounts.db):
        await p.call(accounts, "create", owner="Di")
        async with p.atomic(using=accounts.db):
            await p.call(accounts.filter(owner="Di"), "update", balance=5)


async def roll_back(p, accounts):
    async with p.atomic(using=accounts.db):
        await p.call(accounts, "create", owner="Di")
        raise OfNoAccount


async def roll_back_to_a_savepoint(p, accounts):
    async with p.atomic(using=accounts.db):
        await p.call(accounts, "create", owner="Di")
        with suppress(OfNoAccount):
            async with p.atomic(using=accounts.db):
                raise OfNoAccount


async def go_on(p, accounts):
    """Nothing that is done in a transaction is done outside of it."""
    async with p.atomic(using=accounts.db):
        try:
            await p.call(accounts, "create", owner="Di")
        except OperationalError:
            # psycopg's sync connection may find its socket closed, and go on taking itself for
            # open: Django refuses then, in place of the driver.
            with pytest.raises((OperationalError, TransactionManagementError)):
                await p.call(accounts, "create", owner="Eve")
            raise


async def go_on_and_leave(p, accounts):
    async with p.atomic(using=accounts.db):
        with suppress(OperationalError):
            await p.call(accounts, "create", owner="Di")


@dataclass
class Place:
    """A message of some steps' traffic, and whether what they write is kept without it."""

    steps: Any
    toward: Toward
    pattern: bytes
    is_written: bool = False
    outcome: Any = LOST


PLACES = {
    # A pool that opens another connection has it SELECT, too.
    "a query": Place(read, Toward.SERVER, b'SELECT "library_account"'),
    "its rows": Place(read, Toward.CLIENT, b"Bo"),
    "its end": Place(read, Toward.CLIENT, b"SELECT 3\0"),
    "a cursor": Place(iterate, Toward.SERVER, b"DECLARE"),
    "its answer": Place(iterate, Toward.CLIENT, b"DECLARE"),
    "a fetch": Place(iterate, Toward.SERVER, b"FETCH"),
    "a row": Place(iterate, Toward.CLIENT, b"Bo"),
    "a cursor's end": Place(iterate, Toward.SERVER, b"CLOSE"),
    "the answer to that": Place(iterate, Toward.CLIENT, b"CLOSE"),
    "a cursor in a transaction": Place(iterate_in_a_transaction, Toward.SERVER, b"DECLARE"),
    "a row in a transaction": Place(iterate_in_a_transaction, Toward.CLIENT, b"Bo"),
    "a cursor's end in a transaction": Place(iterate_in_a_transaction, Toward.SERVER, b"CLOSE"),
    "a write": Place(write, Toward.SERVER, b"INSERT"),
    "the key of the new row": Place(write, Toward.CLIENT, b"INSERT 0 1\0", is_written=True),
    "the beginning": Place(transact, Toward.SERVER, b"BEGIN"),
    "the answer to the beginning": Place(transact, Toward.CLIENT, b"BEGIN\0"),
    "a write in a transaction": Place(transact, Toward.SERVER, b"INSERT"),
    "its key": Place(transact, Toward.CLIENT, b"INSERT 0 1\0"),
    "a savepoint": Place(transact, Toward.SERVER, b"SAVEPOINT"),
    "a statement in a savepoint": Place(transact, Toward.SERVER, b"UPDATE"),
    "the release of a savepoint": Place(transact, Toward.SERVER, b"RELEASE"),
    "the answer to the release": Place(transact, Toward.CLIENT, b"RELEASE"),
    "a commit": Place(transact, Toward.SERVER, b"COMMIT"),
    "the answer to a commit": Place(transact, Toward.CLIENT, b"COMMIT\0", is_written=True),
    "a rollback": Place(roll_back, Toward.SERVER, b"ROLLBACK", outcome=(OfNoAccount, None)),
    "the answer to a rollback": Place(
        roll_back, Toward.CLIENT, b"ROLLBACK\0", outcome=(OfNoAccount, None)
    ),
    "a rollback to a savepoint": Place(
        roll_back_to_a_savepoint, Toward.SERVER, b"ROLLBACK TO", outcome=None
    ),
    "a write, and another one": Place(go_on, Toward.SERVER, b"INSERT"),
    "the key of a write, and another one": Place(go_on, Toward.CLIENT, b"INSERT 0 1\0"),
    "a write that is overlooked": Place(go_on_and_leave, Toward.SERVER, b"INSERT", outcome=None),
}

# To a client, an end is an end. To the server, half of one is another one.
CUTS = [
    (case, action)
    for case, place in PLACES.items()
    for action in Action
    if action in {Action.RESET, Action.CLOSE}
    or (action is Action.HALF_CLOSE and place.toward is Toward.SERVER)
]


def fill():
    Account.objects.all().delete()
    Account.objects.bulk_create(Account(owner=owner) for owner in ("Ada", "Bo", "Cy"))


def owners():
    return list(Account.objects.order_by("pk").values_list("owner", flat=True))


# Django's cursors say that they were not closed where closing fails. Those of turbo-orm do not.
@pytest.mark.filterwarnings("ignore:<django\\.db\\..*ServerSideCursor:ResourceWarning")
@pytest.mark.parametrize(("case", "action"), CUTS)
def test_a_connection_that_is_cut_at(case, action, proxy, run):
    place = PLACES[case]
    kept = ["Ada", "Bo", "Cy"] + ["Di"] * place.is_written

    async def cut(p, accounts):
        # The connection is there already.
        await p.call(accounts, "count")
        fault = proxy.add(Fault(action, place.toward, pattern=place.pattern))
        try:
            return await place.steps(p, accounts)
        finally:
            assert fault.struck.wait(10)

    async def work(accounts):
        outcome = await of_turbo(lambda p: cut(p, accounts))
        # There is a new connection at once.
        assert await accounts.acount() == len(kept)
        return outcome

    async def steps(alias):
        outcome = await asyncio.create_task(work(Account.objects.using(alias)))
        await at_rest(alias)
        return outcome

    fill()
    expected = of_django(lambda p: cut(p, Account.objects.using("far")), "far")
    assert owners() == kept
    assert expected == place.outcome
    for alias in FAR:
        fill()
        assert run(lambda alias=alias: steps(alias)) == expected
        assert owners() == kept
    proxy.wait_until_all_closed()
    # They say so when they are collected: here, rather than in a test that knows nothing of them.
    gc.collect()
