"""What a client leaves running when it goes: a sync view in a thread, which is not stopped."""

import asyncio
import threading

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.http import HttpResponse
from django.test import AsyncRequestFactory, override_settings
from django.urls import path

from turbo_orm.handlers import disconnect
from turbo_orm.handlers.asgi import ASGIHandler

begun, may_read = threading.Event(), threading.Event()
done = []


def reading_late(request):
    begun.set()
    assert may_read.wait(10)
    try:
        done.append(request.body)
    except Exception as exc:
        done.append(exc)
    return HttpResponse()


urlpatterns = [path("late/", reading_late)]


async def leave():
    scope = AsyncRequestFactory()._base_scope(path="/late/", method="POST")
    communicator = ApplicationCommunicator(ASGIHandler(), scope)
    await communicator.send_input({"type": "http.request", "body": b"of the client"})
    await asyncio.to_thread(begun.wait, 10)
    await communicator.send_input({"type": "http.disconnect"})
    # By now the request is cancelled, and its view runs still.
    await asyncio.sleep(0.1)
    may_read.set()
    await communicator.wait(10)


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(asyncio.run, id="of a server"),
        # Where sync code waits, it is that code's thread in which views run.
        pytest.param(lambda coroutine: async_to_sync(lambda: coroutine)(), id="of a sync test"),
    ],
)
@pytest.mark.filterwarnings("ignore:async_to_sync was passed a non-async")
def test_a_view_in_a_thread_reads_the_body_when_the_client_has_gone(run, monkeypatch):
    monkeypatch.setattr(disconnect, "DELAY", 0)
    monkeypatch.setattr(disconnect, "DELAY_OF_EACH", 0)
    begun.clear(), may_read.clear(), done.clear()
    with override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["testserver"]):
        run(leave())
    assert done == [b"of the client"]
