"""Websockets of Channels and server-sent events, by the hundred on a pool of five."""

import pytest

from tests.support.engines import project

SMALL = {"pool": {"min_size": 0, "max_size": 5, "timeout": 20}}

CHANNELS = """
    from channels.db import database_sync_to_async
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.testing import WebsocketCommunicator
    from turbo_orm import pool_stats

    class Consumer(AsyncWebsocketConsumer):
        async def connect(self):
            self.account = await Account.objects.acreate(owner=self.scope["path"])
            await self.accept()

        async def receive(self, text_data=None, bytes_data=None):
            async with async_atomic():
                self.account.balance += 1
                await self.account.asave()
            found = await Account.objects.aget(pk=self.account.pk)
            await self.send(f"{text_data} {found.balance}")

        async def disconnect(self, code):
            # A thread has Django's own connection, beside the pool.
            await database_sync_to_async(self.note)()

        def note(self):
            Account.objects.filter(pk=self.account.pk).update(balance=100)

    async def main():
        application = Consumer.as_asgi()
        sockets = [WebsocketCommunicator(application, f"/{n}") for n in range(100)]
        for each in sockets:
            connected, _ = await each.connect(timeout=20)
            assert connected
        for time in range(1, 4):
            await asyncio.gather(*[each.send_to("hello") for each in sockets])
            for each in sockets:
                assert await each.receive_from(timeout=20) == f"hello {time}"
        size = pool_stats().size
        await asyncio.gather(*[each.disconnect(timeout=20) for each in sockets])
        return size, await Account.objects.filter(balance=100).acount()

    answer(asyncio.run(main()))
"""

EVENTS = """
    from django.http import StreamingHttpResponse
    from django.test import RequestFactory
    from turbo_orm import pool_stats

    async def ticker(request):
        async def events():
            try:
                while True:
                    yield f"data: {await Account.objects.acount()}\\n\\n"
                    await asyncio.sleep(0)
            finally:
                left.append(await Account.objects.acount())

        return StreamingHttpResponse(events(), content_type="text/event-stream")

    left = []

    async def client(barrier):
        response = await ticker(RequestFactory().get("/"))
        stream, parts = aiter(response), []
        for _ in range(5):
            parts.append(await anext(stream))
            # All of them are open at the same time.
            await barrier.wait()
        await response._iterator.aclose()
        return parts

    async def main():
        barrier = asyncio.Barrier(100)
        found = await asyncio.gather(*[client(barrier) for _ in range(100)])
        assert all(parts == [b"data: 1\\n\\n"] * 5 for parts in found)
        return pool_stats().size, len(left)

    Account.objects.create(owner="Ada")
    answer(asyncio.run(main()))
"""


def test_a_hundred_websockets(scratch):
    pytest.importorskip("channels")
    size, left = project(CHANNELS, OPTIONS=SMALL)
    assert size <= 5
    assert left == 100


def test_a_hundred_streams_of_events(scratch):
    size, left = project(EVENTS, OPTIONS=SMALL)
    assert size <= 5
    assert left == 100
