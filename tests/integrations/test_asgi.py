"""Under ASGI every connection is back in its pool when the response is sent, whatever it was."""

import asyncio
from contextlib import suppress

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.db import connections
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import AsyncClient, override_settings
from django.urls import path

from tests.library.models import Account
from tests.support.clients import sessions_of_clients, until
from turbo_orm import async_atomic, async_connection, run_sync
from turbo_orm.backend.task_connections import async_connections

pytestmark = pytest.mark.usefixtures("scratch")

ALIASES = ["default", "pooled"]

# Events, the last of which a view sets where the test waits for it.
reached = []


async def read(request, alias):
    accounts = Account.objects.using(alias)
    found = await asyncio.gather(accounts.acount(), accounts.aexists())
    return JsonResponse({"count": await accounts.acount(), "found": found})


async def write(request, alias):
    async with async_atomic(alias):
        await Account.objects.using(alias).acreate(owner="by the view")
    return HttpResponse(status=201)


async def fail(request, alias):
    async with async_atomic(alias):
        await Account.objects.using(alias).acreate(owner="by the view")
        raise KeyError("of the view")


async def held(request, alias):
    async with async_connection(alias):
        await Account.objects.using(alias).acount()
        return HttpResponse()


async def wait(request, alias):
    async with async_atomic(alias):
        await Account.objects.using(alias).acreate(owner="by the view")
        reached[-1].set()
        await asyncio.Event().wait()


async def sleep_in_the_database(request, alias):
    await Account.objects.using(alias).acount()
    reached[-1].set()
    await run_sync(sleep, alias)


def sleep(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_sleep(60)")


async def leave_a_transaction(request, alias):
    await async_atomic(alias).__aenter__()
    await Account.objects.using(alias).acreate(owner="by the view")
    return HttpResponse()


async def leave_an_iterator(request, alias):
    await Account.objects.using(alias).abulk_create([Account(owner=f"{n}") for n in range(5)])
    async for _ in Account.objects.using(alias).aiterator(chunk_size=1):
        break
    return HttpResponse()


async def stream(request, alias):
    await Account.objects.using(alias).abulk_create([Account(owner=f"{n}") for n in range(5)])

    async def owners():
        accounts = Account.objects.using(alias).order_by("pk")
        async for account in accounts.aiterator(chunk_size=2):
            yield account.owner

    return StreamingHttpResponse(owners())


VIEWS = [
    read,
    write,
    fail,
    held,
    wait,
    sleep_in_the_database,
    leave_a_transaction,
    leave_an_iterator,
    stream,
]
urlpatterns = [path(f"{view.__name__}/<str:alias>", view) for view in VIEWS]


@pytest.fixture
def serve():
    """Return a function that runs a coroutine function with a Django application."""

    def serve(function):
        async def main():
            reached.append(asyncio.Event())
            async with asyncio.timeout(30):
                return await function(get_asgi_application())

        with override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"]):
            return asyncio.run(main())

    return serve


def request(application, view, alias):
    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/{view.__name__}/{alias}",
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
    }
    return ApplicationCommunicator(application, scope)


async def responses(communicator):
    """Send a request and return its status and its body."""
    await communicator.send_input({"type": "http.request", "body": b"", "more_body": False})
    start = await communicator.receive_output(10)
    body = b""
    while True:
        part = await communicator.receive_output(10)
        body += part.get("body", b"")
        if not part.get("more_body"):
            return start["status"], body


@pytest.fixture
def everything_is_back(driver):
    """Return a coroutine function that waits until nothing of an alias is in use any more."""

    def backends():
        return sessions_of_clients(driver)

    def is_back(alias):
        if alias == "default":
            return backends() <= before
        stats = async_connections[alias].pool.get_stats()
        return stats["pool_available"] == stats["pool_size"] and not stats["requests_waiting"]

    before = backends()
    return lambda alias: until(lambda: is_back(alias))


ANSWERS = [
    (read, 200),
    (write, 201),
    (held, 200),
    (fail, 500),
    (leave_a_transaction, 200),
    (leave_an_iterator, 200),
    (stream, 200),
]


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize(
    ("view", "status"), ANSWERS, ids=lambda value: getattr(value, "__name__", value)
)
def test_after_a_response(view, status, alias, serve, everything_is_back):
    async def steps(application):
        communicator = request(application, view, alias)
        answer = await responses(communicator)
        with suppress(KeyError):
            await communicator.wait()
        await everything_is_back(alias)
        return answer

    found, body = serve(steps)
    assert found == status
    assert view is not stream or body == b"01234"
    assert Account.objects.filter(owner="by the view").exists() is (view is write)


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("view", [wait, sleep_in_the_database], ids=lambda view: view.__name__)
def test_after_the_client_has_gone(view, alias, serve, everything_is_back):
    async def steps(application):
        communicator = request(application, view, alias)
        await communicator.send_input({"type": "http.request", "body": b"", "more_body": False})
        await reached[-1].wait()
        await asyncio.sleep(0.02)
        await communicator.send_input({"type": "http.disconnect"})
        with suppress(asyncio.CancelledError):
            await communicator.wait()
        await everything_is_back(alias)

    serve(steps)
    assert not Account.objects.exists()


def test_more_requests_than_connections(serve, everything_is_back):
    async def steps(application):
        communicators = [request(application, read, "pooled") for _ in range(30)]
        answers = await asyncio.gather(*[responses(c) for c in communicators])
        await asyncio.gather(*[communicator.wait() for communicator in communicators])
        await everything_is_back("pooled")
        return answers

    answers = serve(steps)
    assert {status for status, _ in answers} == {200}
    assert {body for _, body in answers} == {b'{"count": 0, "found": [0, false]}'}


def test_a_client_for_tests_reads_a_stream(serve):
    async def steps(application):
        client = AsyncClient()
        response = await client.get("/stream/default")
        body = b"".join([part async for part in response])
        again = await client.get("/read/default")
        return body, again.json()["count"]

    assert serve(steps) == (b"01234", 5)
