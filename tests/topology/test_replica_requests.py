"""Sync code that has written, and clients of a site that have: what they read next."""

import asyncio
from contextlib import contextmanager
from time import monotonic

import pytest
from django.db import connections, transaction
from django.http import HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path

from tests.library.models import Account
from tests.support.asgi_client import answer
from tests.support.waiting import wait_until
from tests.topology.replicas import PRIMARY, REPLICAS, select_what_writes
from turbo_orm.asgi import get_asgi_application
from turbo_orm.routers import ReadYourWritesMiddleware, causal_session


def sync_create():
    Account.objects.create(owner="new", balance=7)


def sync_in_transaction():
    with transaction.atomic(PRIMARY):
        sync_create()


def sync_by_cursor():
    with connections[PRIMARY].cursor() as cursor:
        cursor.execute("UPDATE library_account SET balance = 7")


def sync_with_alias():
    Account.objects.using(PRIMARY).update(balance=7)


def sync_read():
    found = Account.objects.order_by("-pk")[0]
    return found._state.db, found.balance == 7


@pytest.mark.parametrize(
    "write",
    [sync_create, sync_in_transaction, sync_by_cursor, sync_with_alias, select_what_writes],
    ids=lambda write: write.__name__,
)
@pytest.mark.parametrize("is_connected", [True, False])
def test_what_sync_code_has_written_it_reads(write, is_connected, site):
    if is_connected:
        assert Account.objects.using(PRIMARY).count() == 1
    site.pause()
    with causal_session():
        assert sync_read()[0] in REPLICAS
        write()
        assert sync_read() == (PRIMARY, True)
        now = monotonic()
        wait_until(lambda: site.choice() == PRIMARY and site.knows_since(now))
        assert sync_read() == (PRIMARY, True)
        site.resume()
        wait_until(lambda: site.choice() != PRIMARY)
        assert sync_read() in {("one", True), ("two", True)}


# Requests


def show(request):
    found = Account.objects.order_by("-pk")[0]
    return HttpResponse(f"{found._state.db} {found.balance}")


def change(request):
    Account.objects.update(balance=7)
    return show(request)


async def ashow(request):
    found = await Account.objects.order_by("-pk").afirst()
    return HttpResponse(f"{found._state.db} {found.balance}")


async def achange(request):
    await Account.objects.aupdate(balance=7)
    return await ashow(request)


urlpatterns = [
    path("show/", show),
    path("change/", change),
    path("ashow/", ashow),
    path("achange/", achange),
]


class Middleware(ReadYourWritesMiddleware):
    primary = PRIMARY


@contextmanager
def served():
    with override_settings(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=[f"{__name__}.Middleware"],
    ):
        yield


class Asked:
    """A client, sync or async, that has steps written once."""

    def __init__(self, is_async):
        self.is_async = is_async
        self.client = AsyncClient() if is_async else Client()

    async def get(self, name, **headers):
        if self.is_async:
            response = await self.client.get(f"/a{name}/", headers=headers)
        else:
            response = self.client.get(f"/{name}/", headers=headers)
        return response, response.content.decode()


def by_hand(steps):
    """Run a coroutine that waits for nothing: sync code that is in no event loop."""
    try:
        steps().send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("It has waited.")


@pytest.mark.parametrize("is_async", [True, False])
def test_the_next_request_reads_what_this_one_has_written(is_async, site):
    async def steps():
        writer, reader, by_header = Asked(is_async), Asked(is_async), Asked(is_async)
        response, text = await reader.get("show")
        assert text in {"one 1", "two 1"}
        assert not response.cookies
        response, text = await writer.get("change")
        assert text == "main 7"
        cookie = response.cookies[Middleware.cookie_name]
        assert cookie["httponly"]
        for _ in range(3):
            response, text = await writer.get("show")
            assert text == "main 7"
            # It need not ask for the position again.
            assert not response.cookies
        assert (await reader.get("show"))[1] in {"one 1", "two 1"}
        token = {Middleware.header_name: cookie.value}
        assert (await by_header.get("show", **token))[1] == "main 7"
        forged = {Middleware.header_name: cookie.value.replace("/", "/0", 1)}
        assert (await by_header.get("show", **forged))[1] in {"one 1", "two 1"}
        site.resume()
        end = monotonic() + 20
        while (text := (await writer.get("show"))[1]) == "main 7":
            assert monotonic() < end
            if is_async:
                await asyncio.sleep(0.02)
        assert text in {"one 7", "two 7"}

    site.pause()
    with served():
        asyncio.run(steps()) if is_async else by_hand(steps)


def test_a_request_stays_on_the_event_loop(site, run):
    """Under our handler. The client says that it has written what no replica has yet."""
    signer = Middleware(show).signer
    cookies = f"{Middleware.cookie_name}={signer.sign('FF/0')}"

    async def steps():
        application = get_asgi_application()
        for _ in range(3):
            assert (await answer(application, "/ashow/"))[1] in {"one 1", "two 1"}
            assert await answer(application, "/ashow/", cookies) == (200, "main 1")
        return await answer(application, "/achange/")

    with served():
        assert run(steps) == (200, "main 7")
