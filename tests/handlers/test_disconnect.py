"""A client that goes, at any stage of its request: what runs is cancelled, and nothing is left."""

import asyncio
import gc
from contextlib import suppress

import pytest
from django.core.signals import request_finished
from django.http import HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path

from tests.handlers.asking import Client, EventLoopHandler
from tests.library.models import Account
from tests.support.clients import until
from turbo_orm import async_atomic, bridge
from turbo_orm.handlers import disconnect
from turbo_orm.handlers.places import on_bridge

pytestmark = pytest.mark.usefixtures("scratch")

done = []


async def waiting(request):
    async with async_atomic():
        await Account.objects.acreate(owner="by the view")
        done.append("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            done.append("cancelled")
            raise
        finally:
            done.append("finally")


@on_bridge
def waiting_on_bridge(request):
    Account.objects.create(owner="by the view")
    done.append("begun")
    try:
        bridge.await_(asyncio.Event().wait())
    except asyncio.CancelledError:
        done.append("cancelled")
        raise
    finally:
        # It can still query.
        done.append(f"finally {Account.objects.count()}" if bridge.active() else "thread")


async def stubborn(request):
    done.append("begun")
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    done.append("cancelled")
    return HttpResponse("all the same")


async def failing(request):
    done.append("begun")
    try:
        await asyncio.Event().wait()
    finally:
        raise KeyError("in finally")


async def streaming(request):
    async def parts():
        try:
            yield "first"
            done.append("begun")
            await asyncio.Event().wait()
        finally:
            done.append("finally")

    return StreamingHttpResponse(parts())


@on_bridge
def streaming_on_bridge(request):
    def parts():
        try:
            Account.objects.create(owner="of the stream")
            yield "first"
            done.append("begun")
            bridge.await_(asyncio.Event().wait())
        finally:
            done.append(f"finally {Account.objects.count()}" if bridge.active() else "thread")

    return StreamingHttpResponse(parts())


async def short(request):
    return HttpResponse("short")


async def long(request):
    await asyncio.sleep(disconnect.DELAY * 2)
    return HttpResponse("long")


VIEWS = [
    waiting,
    waiting_on_bridge,
    stubborn,
    failing,
    streaming,
    streaming_on_bridge,
    short,
    long,
]
urlpatterns = [path(view.__name__, view) for view in VIEWS]


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(disconnect, "DELAY", 0.01)
    monkeypatch.setattr(disconnect, "DELAY_OF_EACH", 0)
    done.clear()
    with override_settings(ROOT_URLCONF=__name__):
        yield


def play(steps):
    """Run steps with an application; no task may be left, and no exception unretrieved."""

    async def main():
        unhandled = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: unhandled.append(context))
        before = asyncio.all_tasks()
        async with asyncio.timeout(20):
            found = await steps(EventLoopHandler())
        # The one timer of all requests ends when there is none any more.
        await asyncio.sleep(3 * disconnect.DELAY)
        left = asyncio.all_tasks() - before
        timers = [each for each in loop._scheduled if not each.cancelled()]
        assert not left
        # That of the timeout is over.
        assert not timers
        gc.collect()
        assert not unhandled
        return found

    return asyncio.run(main())


def started(application, client):
    return asyncio.create_task(application(client.scope, client.receive, client.send))


def finished():
    kept = []

    def receive(sender, **kwargs):
        kept.append(sender.__name__)

    request_finished.connect(receive)
    kept.append(receive)
    return kept


@pytest.mark.parametrize(("of_each", "longest", "least"), [(0.05, 1, 0.16), (1, 0.08, 0.08)])
def test_the_more_requests_are_open_the_later_they_listen(monkeypatch, of_each, longest, least):
    monkeypatch.setattr(disconnect, "DELAY_OF_EACH", of_each)
    monkeypatch.setattr(disconnect, "LONGEST_DELAY", longest)

    async def steps(application):
        clients = [Client("/waiting") for _ in range(3)]
        begun = asyncio.get_running_loop().time()
        tasks = [started(application, client) for client in clients]
        for client in clients:
            client.leave()
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        waited = asyncio.get_running_loop().time() - begun
        await asyncio.gather(*tasks)
        return waited

    assert play(steps) >= least


@pytest.mark.parametrize("parts", [[], [b"some"]])
def test_before_and_in_the_body(parts):
    async def steps(application):
        client = Client("/short", method="POST", parts=[*parts, b"never read"])
        if parts:
            client.incoming._queue.pop()
            client.incoming._queue[-1]["more_body"] = True
        else:
            client.incoming._queue.clear()
        client.leave()
        await started(application, client)
        return client.sent

    assert play(steps) == []


@pytest.mark.parametrize(
    ("view", "what"),
    [
        ("waiting", ["begun", "cancelled", "finally"]),
        ("waiting_on_bridge", ["begun", "cancelled", "finally 1"]),
    ],
)
def test_while_a_view_waits(view, what):
    async def steps(application):
        client = Client(f"/{view}")
        task = started(application, client)
        await until(lambda: done)
        client.leave()
        await task
        assert task.cancelling() == 0
        return client.sent

    assert play(steps) == []
    assert done == what
    assert Account.objects.count() == (view == "waiting_on_bridge")


@pytest.mark.parametrize(("view", "status"), [("stubborn", 200), ("failing", 500)])
@pytest.mark.parametrize("handler", ["django", "turbo"])
def test_a_view_that_does_not_end_by_it(view, status, handler):
    """What it answers is sent, and the server's task is not left as cancelled."""

    async def steps(application):
        from tests.handlers.asking import HANDLERS

        client = Client(f"/{view}")
        task = started(HANDLERS[handler](), client)
        await until(lambda: done)
        client.leave()
        await task
        assert task.cancelling() == 0
        return client.status

    assert play(steps) == status


@pytest.mark.parametrize("view", ["streaming", "streaming_on_bridge"])
def test_in_a_stream(view):
    async def steps(application):
        client = Client(f"/{view}")
        task = started(application, client)
        await until(lambda: done)
        client.leave()
        await task
        return client.body

    assert play(steps) == b"first"
    assert done == ["begun", "finally" if view == "streaming" else "finally 1"]


def test_a_stream_on_the_bridge_that_is_left_is_closed_on_the_bridge():
    """The client goes between two parts, where nothing of the generator runs."""

    async def steps(application):
        client = Client("/streaming_on_bridge")
        sending = asyncio.Event()

        async def send(message):
            client.sent.append(message)
            if message.get("body"):
                sending.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(application(client.scope, client.receive, send))
        await sending.wait()
        client.leave()
        await task

    play(steps)
    assert done == ["finally 1"]


def test_after_the_response():
    async def steps(application):
        client = Client("/long")
        await started(application, client)
        client.leave()
        await asyncio.sleep(0.03)
        return client.body

    assert play(steps) == b"long"


@pytest.mark.parametrize("turns", range(6))
def test_at_the_very_end_of_the_response(turns):
    """It is noticed while the last part is sent: what comes after it is not cancelled."""

    async def steps(application):
        client = Client("/long")
        went_on = []

        async def send(message):
            client.sent.append(message)
            if message["type"] == "http.response.body":
                client.leave()
                for _ in range(turns):
                    await asyncio.sleep(0)

        async def server():
            await application(client.scope, client.receive, send)
            assert asyncio.current_task().cancelling() == 0
            for _ in range(5):
                await asyncio.sleep(0)
            went_on.append(True)

        await asyncio.create_task(server())
        return client.body, went_on

    assert play(steps) == (b"long", [True])


@pytest.mark.parametrize(
    ("message", "error"), [({"type": "odd"}, AssertionError), (OSError("gone"), OSError)]
)
def test_a_listener_that_raises(message, error):
    async def steps(application):
        client = Client("/waiting")
        receive = client.receive

        async def receiving():
            found = await receive()
            if isinstance(found, Exception):
                raise found
            return found

        client.receive = receiving
        task = started(application, client)
        await until(lambda: done)
        client.incoming.put_nowait(message)
        with pytest.raises(error):
            await task
        assert task.cancelling() == 0

    play(steps)
    assert done == ["begun", "cancelled", "finally"]


@pytest.mark.parametrize("leaves", [False, True])
def test_the_server_cancels(leaves):
    """The task ends as cancelled, whether the client goes at the same time or not."""

    async def steps(application):
        client = Client("/waiting")
        task = started(application, client)
        await until(lambda: done)
        await asyncio.sleep(disconnect.DELAY * 2)
        if leaves:
            client.leave()
            # The listener has ended, and the task is about to be cancelled for it.
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return client.sent

    assert play(steps) == []
    assert done == ["begun", "cancelled", "finally"]


def test_a_receive_that_ignores_to_be_cancelled():
    async def steps(application):
        client = Client("/long")
        receive = client.receive

        async def receiving():
            try:
                return await receive()
            except asyncio.CancelledError:
                raise OSError("closed meanwhile") from None

        client.receive = receiving
        await started(application, client)
        return client.body

    assert play(steps) == b"long"


def test_a_send_that_raises():
    async def steps(application):
        client = Client("/long")

        async def send(message):
            raise OSError("gone")

        task = asyncio.create_task(application(client.scope, client.receive, send))
        with pytest.raises(OSError, match="gone"):
            await task

    play(steps)
