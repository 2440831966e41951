"""Tools that trace statements see each one that is sent, as often as it is sent, and no other.

What is sent is counted where it arrives: by a proxy in front of the server.
"""

from collections import Counter
from textwrap import dedent

import pytest

from tests.support.project import run_in_project
from tests.support.sent import Wire

# The tool is set up before ``django.setup()``, as its documentation says, or afterwards.
PROJECT = """
    from django.db import connection, connections, transaction
    from tests.library.models import Account, Entry
    from turbo_orm import async_atomic, async_connection, patch_django, run_sync


    def in_sync_code():
        with transaction.atomic():
            account = Account.objects.create(owner="Di", balance=1)
            Account.objects.filter(owner="Di").update(balance=2)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM library_account WHERE balance < %s", [5])
            cursor.executemany("DELETE FROM library_account WHERE owner = %s", [["Di"]])


    async def statements():
        await Account.objects.abulk_create([Account(owner="Ada"), Account(owner="Bo", balance=3)])
        await Account.objects.acount()
        await Account.objects.aget(owner="Ada")
        await Account.objects.filter(balance__gte=0).alist()
        await Account.objects.values_list("owner").alist()
        await Account.objects.order_by("pk").afirst()
        await Account.objects.ain_bulk()
        [each async for each in Account.objects.filter(balance=3)]
        [each async for each in Account.objects.order_by("pk").aiterator(chunk_size=10)]
        [each async for each in Account.objects.raw("SELECT * FROM library_account")]
        async with async_atomic():
            account = await Account.objects.acreate(owner="Eve")
            await account.entries.acreate(amount=1)
            await Account.objects.prefetch_related("entries").alist()
            account.balance = 3
            await account.asave()
            await account.arefresh_from_db()
            await Account.objects.filter(owner="Eve").aupdate(balance=4)
            await account.adelete()
        try:
            async with async_atomic():
                await Account.objects.acount()
                async with async_atomic():
                    await Account.objects.aexists()
                raise KeyError
        except KeyError:
            pass
        async with async_connection():
            await Account.objects.acount()
        await asyncio.gather(Account.objects.acount(), Account.objects.aexists())
        await run_sync(in_sync_code)
        await Account.objects.all().adelete()


    async def several_times():
        for _ in range(4):
            await statements()
        await asyncio.create_task(statements())
"""

# What sets a tool up, and the expression for the statements that it has seen.
SENTRY = """
    import sentry_sdk
    from sentry_sdk.integrations.django import DjangoIntegration
    from sentry_sdk.transport import Transport

    class NoTransport(Transport):
        def capture_envelope(self, envelope):
            pass

    spans = []

    def keep(event, hint):
        spans.extend(span["description"] for span in event["spans"] if span["op"] == "db")

    sentry_sdk.init(
        dsn="http://key@localhost:1/1",
        before_send_transaction=keep,
        traces_sample_rate=1.0,
        transport=NoTransport,
        integrations=[DjangoIntegration(db_transaction_spans=True)],
        auto_enabling_integrations=False,
        max_breadcrumbs=0,
        _experiments={"max_spans": 100_000},
    )

    def view():
        return sentry_sdk.start_transaction(name="view")

    def seen():
        return spans
"""

OPENTELEMETRY = """
    from opentelemetry import trace
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument()
    PsycopgInstrumentor().instrument()

    def view():
        return trace.get_tracer("view").start_as_current_span("view")

    def seen():
        spans = exporter.get_finished_spans()
        return [each.attributes["db.statement"] for each in spans if each.name != "view"]
"""

DDTRACE = """
    import os
    os.environ.update(
        DD_INSTRUMENTATION_TELEMETRY_ENABLED="0", DD_REMOTE_CONFIGURATION_ENABLED="0",
        DD_TRACE_STARTUP_LOGS="0", DD_DJANGO_INSTRUMENT_DATABASES="1",
    )
    from ddtrace import patch
    from ddtrace.trace import TraceFilter, tracer

    spans = []

    class Keep(TraceFilter):
        def process_trace(self, trace):
            spans.extend(each.resource for each in trace if each.span_type == "sql")

    tracer.configure(trace_processors=[Keep()])
    patch({patched})

    def view():
        return tracer.trace("view")

    def seen():
        return spans
"""

SCOUT = """
    from scout_apm.core.tracked_request import TrackedRequest
    from scout_apm.django.instruments.sql import ensure_sql_instrumented

    requests = []
    TrackedRequest.finish = lambda self: requests.append(self)
    ensure_sql_instrumented()

    from contextlib import contextmanager

    @contextmanager
    def view():
        request = TrackedRequest.instance()
        request.start_span(operation="view")
        yield
        request.stop_span()

    def seen():
        return [
            span.tags["db.statement"]
            for request in requests
            for span in request.complete_spans
            if span.operation.startswith("SQL")
        ]
"""

TOOLS = {
    "sentry": ("sentry_sdk", SENTRY),
    "scout": ("scout_apm", SCOUT),
    "opentelemetry": ("opentelemetry.instrumentation.psycopg", OPENTELEMETRY),
    "ddtrace of psycopg": ("ddtrace", DDTRACE.format(patched="psycopg=True")),
    "ddtrace of Django": ("ddtrace", DDTRACE.format(patched="django=True")),
}
# These see no server-side cursor of Django's sync connections, either.
OF_PSYCOPG = {"opentelemetry", "ddtrace of psycopg", "ddtrace of Django"}

ASK = """
    async def traced():
        with view():
            await several_times()

    asyncio.run(traced())
    answer(seen())
"""


def run_with(tool, ask=ASK, *, is_first=True, pool=None, **changes):
    """Return the statements that a tool has seen, and the proxy that has those that were sent."""
    with Wire() as wire:
        options = {} if pool is None else {"pool": pool}
        seen = run_in_project(
            dedent(PROJECT) + dedent("" if is_first else tool) + dedent(ask),
            before=tool if is_first else "",
            DATABASES={"default": wire.database(**options)},
            ASYNC_BACKEND_DISABLE_POOL_WARNING=True,
            **changes,
        )
    return seen, wire


def of_table(statements):
    """Count those that concern the tables, by their first word."""
    return Counter(each.split()[0] for each in statements if "library_" in each)


@pytest.mark.parametrize("pool", [None, {"min_size": 1, "max_size": 4}], ids=["plain", "pool"])
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("name", TOOLS)
def test_statements_seen_are_those_sent(name, is_first, pool, scratch):
    module, tool = TOOLS[name]
    pytest.importorskip(module)
    if name == "ddtrace of Django" and not is_first:
        pytest.skip("It sets itself up while Django is set up.")
    seen, wire = run_with(tool, is_first=is_first, pool=pool)
    sent = of_table(wire.sent)
    declared = sent.pop("DECLARE")
    if name not in OF_PSYCOPG:
        sent["SELECT"] += declared
    assert of_table(seen) == sent
    assert sent["SELECT"] > 50


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
def test_sentry_sees_what_connects_and_what_ends_a_transaction(is_first, scratch):
    pytest.importorskip("sentry_sdk")
    seen, wire = run_with(SENTRY, is_first=is_first)
    assert seen.count("COMMIT") == wire.sent.count("COMMIT") > 10
    assert seen.count("ROLLBACK") == wire.sent.count("ROLLBACK") == 5
    assert seen.count("connect") == wire.accepted > 5
