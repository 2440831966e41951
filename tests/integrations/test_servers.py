"""What a request inherits from a real server, which starts it in whatever context it is in.

A server imports the application in its event loop, and starts the next request of a connection
from a callback that has the context of the one before: neither is the parent of a request.
"""

import asyncio
import itertools
import socket
from contextlib import asynccontextmanager, closing
from contextvars import Context

import pytest
import uvicorn
from django.core.asgi import get_asgi_application
from django.db import connection
from django.db.transaction import TransactionManagementError
from django.http import HttpResponse, JsonResponse
from django.test import override_settings
from django.urls import path

from tests.library.models import Account
from turbo_orm import async_atomic

pytestmark = pytest.mark.usefixtures("scratch")

owners = map(str, itertools.count())


async def logged(request):
    await Account.objects.acount()
    return JsonResponse({"logged": len(connection.queries)})


async def count(request):
    return JsonResponse({"count": await Account.objects.acount()})


async def gathered(request):
    found = Account.objects.filter(owner="nobody")
    return HttpResponse("{} {}".format(*await asyncio.gather(found.acount(), found.aexists())))


async def refused(request):
    """Start a task inside a block, which is refused as ever."""
    async with async_atomic():
        await Account.objects.acreate(owner=next(owners))
        with pytest.raises(TransactionManagementError, match="was started inside it"):
            await asyncio.create_task(Account.objects.acount())
    return HttpResponse("refused")


urlpatterns = [path(view.__name__, view) for view in (logged, count, gathered, refused)]


@asynccontextmanager
async def served(application, **options):
    """Have uvicorn serve an application, and yield a function that asks it on one connection."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        config = uvicorn.Config(application, log_level="error", lifespan="off", **options)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listening]))
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            await task


async def answers(address, *paths, pipelined):
    """Return the statuses and bodies of requests on one connection."""
    reader, writer = await asyncio.open_connection(*address)
    ask = [b"GET /%s HTTP/1.1\r\nHost: testserver\r\n\r\n" % path.encode() for path in paths]
    try:
        if pipelined:
            writer.write(b"".join(ask))
        found = []
        for request in ask:
            if not pipelined:
                writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            found.append((int(head.split()[1]), (await reader.readexactly(length)).decode()))
        return found
    finally:
        writer.close()
        await writer.wait_closed()


def serve(steps, **settings):
    async def main():
        async with asyncio.timeout(30):
            return await steps()

    with override_settings(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        # It sets Content-Length.
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        **settings,
    ):
        return asyncio.run(main())


def client(address, *paths, pipelined=False):
    """Start a client that has nothing of the server's context."""
    return asyncio.create_task(answers(address, *paths, pipelined=pipelined), context=Context())


async def look_only():
    """Look at the connection as code does that is imported."""
    assert connection.vendor == "postgresql"
    assert list(connection.queries) == []


async def query():
    await Account.objects.acount()


@pytest.mark.parametrize("http", ["h11", "httptools"])
@pytest.mark.parametrize("before", [look_only, query], ids=lambda value: value.__name__)
def test_a_request_logs_its_own_statements(before, http):
    """The server's first task has imported the application, or run a lifespan."""

    async def steps():
        await before()
        async with served(get_asgi_application(), http=http) as address:
            one = await client(address, *["logged"] * 5)
            other = await client(address, *["logged"] * 5, pipelined=True)
        return one + other

    assert serve(steps, DEBUG=True) == [(200, '{"logged": 1}')] * 10


@pytest.mark.parametrize("http", ["h11", "httptools"])
@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize(("view", "body"), [("gathered", "0 False"), ("refused", "refused")])
def test_the_next_request_is_none_of_this_ones_tasks(view, body, pipelined, http):
    """The response is sent within a transaction, and the server goes on from there."""

    async def steps():
        django = get_asgi_application()
        answered = asyncio.Semaphore(0)
        starts = itertools.count()

        async def recording(scope, receive, send):
            async def record(message):
                async with async_atomic():
                    await Account.objects.acreate(owner=next(owners))
                    if message["type"] == "http.response.start" and next(starts):
                        answered.release()
                    await send(message)
                    if message["type"] == "http.response.body":
                        # The block is open until the next request has been answered. Django
                        # cancels what is sent to a client that has received all.
                        try:
                            await answered.acquire()
                        except asyncio.CancelledError:
                            await answered.acquire()
                            raise

            await django(scope, receive, record)

        async with served(recording, http=http) as address:
            found = await client(address, *[view] * 5, pipelined=pipelined)
            answered.release()
        return found

    assert serve(steps) == [(200, body)] * 5


def test_the_server_in_a_transaction_lends_it_to_no_request():
    async def steps():
        async with async_atomic():
            await Account.objects.acreate(owner="of the server")
            async with served(get_asgi_application()) as address:
                return await client(address, "count", "count")

    assert serve(steps) == [(200, '{"count": 0}')] * 2
