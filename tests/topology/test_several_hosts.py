"""Several servers in one entry of ``DATABASES``: libpq's own way to choose among them."""

import asyncio
import random
from collections import Counter

import psycopg
import pytest
from django.db import connections

from tests.faults.aliases import known_as
from tests.library.models import Account
from turbo_orm import async_atomic
from turbo_orm.backend.handler import ENGINE


def several(nodes, **options):
    """Return a ``DATABASES`` entry that names several servers."""
    entry = nodes[0].database(ENGINE=ENGINE)
    hosts, ports = ",".join("127.0.0.1" for _ in nodes), ",".join(str(n.port) for n in nodes)
    return {**entry, "HOST": hosts, "PORT": ports, "OPTIONS": options}


async def ports_of(alias, tasks):
    """Return the ports of the servers that answer tasks which all have a connection at a time."""

    async def ask():
        async with async_atomic(alias):
            with_port = Account.objects.using(alias).extra(select={"port": "inet_server_port()"})
            found = await with_port.aget(owner="Ada")
            await asyncio.sleep(0.05)
            return found.port

    return Counter(await asyncio.gather(*[ask() for _ in range(tasks)]))


@pytest.mark.parametrize(
    ("wanted", "place"),
    [("read-write", 0), ("primary", 0), ("standby", 1), ("read-only", 1), ("prefer-standby", 1)],
)
@pytest.mark.parametrize("is_async", [True, False])
def test_target_session_attrs(wanted, place, is_async, site, run):
    nodes = [site.primary, *site.replicas]
    for order in (nodes[:2], nodes[1::-1]):
        with known_as("several", several(order, target_session_attrs=wanted)):
            if is_async:
                assert run(lambda: ports_of("several", 1)).keys() == {nodes[place].port}
            else:
                with connections["several"].cursor() as cursor:
                    cursor.execute("SELECT inet_server_port()")
                    assert cursor.fetchone() == (nodes[place].port,)


@pytest.mark.skipif(psycopg.pq.version() < 160000, reason="libpq has it since 16")
def test_load_balance_hosts(site, run):
    options = {"load_balance_hosts": "random", "target_session_attrs": "standby"}
    nodes = [site.primary, *site.replicas]
    random.seed(20)
    pool = {"min_size": 0, "max_size": 20}
    with known_as("several", several(nodes, pool=pool, **options)):
        assert run(lambda: ports_of("several", 16)).keys() == {n.port for n in site.replicas}
