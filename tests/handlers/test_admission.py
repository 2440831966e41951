"""Sync views on the bridge begin only while few tasks wait for a connection."""

import pytest

from tests.support.project import databases, run_in_project

PROJECT = """
    import asyncio
    from django.http import HttpResponse
    from django.urls import path
    from tests.handlers.asking import EventLoopHandler, ask, logged
    from tests.library.models import Account
    from turbo_orm import async_atomic
    from turbo_orm.driver.pool import loop_pools

    begun = []

    def querying(request):
        begun.append(request.GET["n"])
        return HttpResponse(str(Account.objects.count()))

    def idle(request):
        begun.append(request.GET["n"])
        return HttpResponse("idle")

    async def awaiting(request):
        begun.append(request.GET["n"])
        return HttpResponse(str(await Account.objects.acount()))

    urlpatterns = [path(v.__name__, v) for v in (querying, idle, awaiting)]

    async def with_connection_held(main):
        release = asyncio.Event()

        async def hold(held):
            async with async_atomic():
                await Account.objects.acount()
                held.set()
                await release.wait()

        held = asyncio.Event()
        holder = asyncio.create_task(hold(held))
        await held.wait()
        async with asyncio.timeout(20):
            await main(release)
        release.set()
        await holder
        # Nothing is left behind.
        assert not loop_pools().admission.is_crowded()
        assert loop_pools().get("default").waiting == 0

    async def turns(number=20):
        for _ in range(number):
            await asyncio.sleep(0)

    def requests(application, *paths):
        return [
            asyncio.create_task(
                ask(application, f"/{each}?n={n}", signals=False, is_local=None), name=str(n)
            )
            for n, each in enumerate(paths)
        ]

"""


def in_project(code, timeout=20, middleware=(), max_waiting=0, **turbo_orm):
    """Run code behind a pool of one connection, where two tasks may wait for it."""
    options = {**databases()["default"].get("OPTIONS", {})}
    options["pool"] = {"min_size": 1, "max_size": 1, "timeout": timeout}
    options["pool"]["max_waiting"] = max_waiting
    return run_in_project(
        PROJECT + code,
        ALLOWED_HOSTS=["testserver"],
        ASYNC_BACKEND_DISABLE_POOL_WARNING=True,
        DATABASES=databases(OPTIONS=options),
        MIDDLEWARE=list(middleware),
        ROOT_URLCONF="__main__",
        TURBO_ORM={"SYNC_VIEWS": "bridge", "WAITING_VIEWS": 2} | turbo_orm,
    )


CROWD = """
    async def main(release):
        tasks = requests(EventLoopHandler(), *["querying"] * 9)
        await turns()
        before = list(begun)
        release.set()
        answers = await asyncio.gather(*tasks)
        answer([before, begun, [each.status for each in answers]])

    asyncio.run(with_connection_held(main))
"""


def test_a_crowd_begins_as_others_leave():
    """In the order in which they have come."""
    before, begun, statuses = in_project(CROWD)
    assert before == ["0", "1"]
    assert begun == list("012345678")
    assert statuses == [200] * 9


def test_how_many_may_wait():
    """It is a setting. So many as that begin."""
    before, begun, statuses = in_project(CROWD, WAITING_VIEWS=5)
    assert before == list("01234")
    assert begun == list("012345678")
    assert statuses == [200] * 9


def test_views_that_query_nothing_let_the_next_ones_in():
    code = """
    async def main(release):
        tasks = requests(EventLoopHandler(), "querying", "querying", *["idle"] * 4, "querying")
        await turns()
        before = list(begun)
        release.set()
        answers = await asyncio.gather(*tasks)
        answer([before, begun, [each.text for each in answers[2:6]]])

    asyncio.run(with_connection_held(main))
    """
    before, begun, texts = in_project(code)
    assert before == ["0", "1"]
    assert begun == list("0123456")
    assert texts == ["idle"] * 4


def test_async_views_begin_at_once():
    code = """
    async def main(release):
        tasks = requests(EventLoopHandler(), "querying", "querying", "querying", "awaiting")
        await turns()
        before = sorted(begun)
        release.set()
        await asyncio.gather(*tasks)
        answer(before)

    asyncio.run(with_connection_held(main))
    """
    assert in_project(code) == ["0", "1", "3"]


@pytest.mark.parametrize("turn", range(4))
def test_requests_that_are_cancelled_keep_no_place(turn):
    """Before they are let in, and as they are: the turns of the loop are counted from there."""
    code = f"""
    async def main(release):
        tasks = requests(EventLoopHandler(), *["querying"] * 8)
        await turns()
        tasks[4].cancel()
        release.set()
        await turns({turn})
        tasks[2].cancel()
        tasks[3].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        answer([type(each).__name__ for each in answers])

    asyncio.run(with_connection_held(main))
    """
    found = in_project(code)
    assert found[:2] == ["Answer"] * 2
    assert found[4:] == ["CancelledError", *["Answer"] * 3]


def test_none_waits_longer_than_for_a_connection():
    """A view begins then in any case, whether it needs one or not."""
    code = """
    async def main(release):
        logs = []
        with logged(logs, is_local=True):
            tasks = requests(EventLoopHandler(), *["querying"] * 4, "idle")
            answers = await asyncio.gather(*tasks)
        answer([each.status for each in answers])

    asyncio.run(with_connection_held(main))
    """
    assert in_project(code, timeout=0.3) == [500] * 4 + [200]


def test_a_pool_that_refuses_those_that_are_too_many():
    """They would be let in to be refused."""
    code = """
    async def main(release):
        logs = []
        with logged(logs, is_local=True):
            tasks = requests(EventLoopHandler(), *["querying"] * 7)
            await turns()
            release.set()
            answers = await asyncio.gather(*tasks)
        answer([each.status for each in answers])

    asyncio.run(with_connection_held(main))
    """
    assert in_project(code, max_waiting=4) == [200] * 4 + [500] * 3


def test_a_request_that_keeps_a_connection_begins_at_once():
    """Those that wait would wait for it."""
    code = """
    from django.utils.decorators import async_only_middleware

    @async_only_middleware
    def in_block(get_response):
        async def respond(request):
            if "block" not in request.GET:
                return await get_response(request)
            async with async_atomic():
                await Account.objects.acount()
                begun.append("in a block")
                while loop_pools().get("default").waiting < 3:
                    await asyncio.sleep(0)
                return await get_response(request)
        return respond

    async def main():
        application = EventLoopHandler()
        blocked, *others = requests(application, "querying?block=1&n=0&x", *["querying"] * 5)
        async with asyncio.timeout(15):
            answers = await asyncio.gather(blocked, *others)
        answer([each.status for each in answers])

    asyncio.run(main())
    """
    found = in_project(code, timeout=60, middleware=["__main__.in_block"], WAITING_VIEWS=3)
    assert found == [200] * 6
