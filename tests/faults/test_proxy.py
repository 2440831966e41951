"""The proxy does what it is told: tests of faults are worth what it is."""

import asyncio
import contextlib
import time

import psycopg
import pytest
from django.db import OperationalError

from tests.faults.aliases import known_as
from tests.faults.fault import Action, Fault, Toward
from tests.faults.proxy import Proxy
from tests.library.models import Account
from tests.support.clients import until
from turbo_orm import async_atomic
from turbo_orm.backend.task_connections import async_connections

pytestmark = pytest.mark.usefixtures("scratch")


@pytest.fixture
def proxy(tables):
    with Proxy() as proxy:
        yield proxy


def client(proxy):
    # As a context manager of its own it would commit, and libpq may not know yet that it is lost.
    return contextlib.closing(psycopg.connect(proxy.dsn, autocommit=True))


def select(connection):
    return connection.execute("SELECT 1").fetchone()


def test_it_passes_everything_on(proxy):
    with client(proxy) as connection:
        text = "x" * 1_000_000
        assert connection.execute("SELECT %s", [text]).fetchone() == (text,)
        assert (proxy.accepted, proxy.open, proxy.cancels) == (1, 1, 0)


CUTS = {
    "reset before a statement": Fault(Action.RESET, Toward.SERVER, pattern=b"SELECT 1"),
    "reset after a statement": Fault(Action.RESET, Toward.SERVER, pattern=b"SELECT 1", after=True),
    "reset within a statement": Fault(Action.RESET, Toward.SERVER, passed=3),
    "reset at the third message": Fault(Action.RESET, Toward.CLIENT, message=3),
    "closed before an answer": Fault(Action.CLOSE, Toward.CLIENT, pattern=b"SELECT 1"),
    "closed within an answer": Fault(Action.CLOSE, Toward.CLIENT, passed=40),
    "half closed to the client": Fault(Action.HALF_CLOSE, Toward.CLIENT, message=2),
    "half closed to the server": Fault(Action.HALF_CLOSE, Toward.SERVER, message=1),
}


@pytest.mark.parametrize("case", CUTS)
def test_a_connection_that_is_cut(case, proxy):
    fault = CUTS[case]
    with client(proxy) as connection:
        proxy.add(fault)
        with pytest.raises(psycopg.OperationalError):
            select(connection)
        assert fault.struck.wait(10)
        # Whether libpq takes it for closed already or not.
        with pytest.raises(psycopg.OperationalError):
            select(connection)
    with client(proxy) as connection:
        assert select(connection) == (1,)


def test_a_message_that_is_late(proxy):
    with client(proxy) as connection:
        proxy.add(Fault(Action.DELAY, Toward.CLIENT, message=1, seconds=0.02))
        before = time.perf_counter()
        assert select(connection) == (1,)
        # RowDescription or ParseComplete, a row, the end, and that the server is ready.
        assert time.perf_counter() - before > 0.08


@contextlib.asynccontextmanager
async def waiting(proxy, connection):
    """Have a task wait for an answer that does not come before the end of the block."""
    task = asyncio.create_task(connection.execute("SELECT 1"))
    done, _ = await asyncio.wait([task], timeout=0.1)
    assert not done
    yield
    proxy.resume()
    assert await (await task).fetchone() == (1,)


def async_client(proxy):
    return psycopg.AsyncConnection.connect(proxy.dsn, autocommit=True)


def test_a_connection_that_is_paused(proxy, run):
    """Its client waits, and no other does."""

    async def steps():
        async with await async_client(proxy) as one, await async_client(proxy) as other:
            fault = proxy.add(Fault(Action.PAUSE, Toward.SERVER, pattern=b"SELECT 1"))
            async with waiting(proxy, one):
                assert fault.struck.is_set()
                assert await (await other.execute("SELECT 2")).fetchone() == (2,)

    run(steps)


def test_all_connections_paused_at_once(proxy, run):
    async def steps():
        async with await async_client(proxy) as one, await async_client(proxy) as other:
            proxy.pause()
            async with waiting(proxy, one), waiting(proxy, other):
                pass

    run(steps)


def test_a_server_that_refuses(proxy):
    proxy.refuses = True
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(proxy.dsn)
    proxy.refuses = False
    with client(proxy) as connection:
        assert select(connection) == (1,)


def test_a_request_to_cancel_is_no_traffic_of_a_session(proxy):
    with client(proxy) as connection:
        connection.execute("SELECT 1")
        fault = proxy.add(Fault(Action.RESET, Toward.SERVER, message=1))
        connection.cancel_safe()
        assert proxy.cancels == 1
        assert not fault.struck.is_set()


COMMITS = {
    "lost on its way": (Fault(Action.RESET, Toward.SERVER, pattern=b"COMMIT"), []),
    "done, its answer lost": (Fault(Action.RESET, Toward.CLIENT, pattern=b"COMMIT\0"), ["Ada"]),
}


@pytest.mark.parametrize("case", COMMITS)
def test_a_commit_that_is(case, proxy, run):
    """Either way the client is told that it does not know; the next statement reconnects."""
    fault, owners = COMMITS[case]

    async def steps():
        accounts = Account.objects.using("far")
        assert await accounts.acount() == 0
        proxy.add(fault)
        with pytest.raises(OperationalError):
            async with async_atomic("far"):
                await accounts.acreate(owner="Ada")
        assert fault.struck.is_set()
        assert [account.owner async for account in accounts.all()] == owners
        assert proxy.accepted == 2

    with known_as("far", proxy.database()):
        run(steps)


def test_a_connection_that_goes_while_nobody_uses_it(proxy, run):
    async def steps():
        accounts = Account.objects.using("far")
        assert await accounts.acount() == 0
        proxy.reset()
        # It says so on its socket, and is replaced.
        await until(lambda: async_connections["far"].connection.has_ended)
        assert await accounts.acount() == 0
        assert proxy.accepted == 2

    with known_as("far", proxy.database()):
        run(steps)
