"""A pool without a connection to give, and a sync view that does not let the event loop run."""

import asyncio
import time

from django.http import HttpResponse
from django.test import override_settings
from django.urls import path

from tests.handlers.asking import EventLoopHandler, ask
from tests.support.project import databases, run_in_project
from turbo_orm.handlers.places import on_bridge

CODE = """
    from django.http import HttpResponse
    from django.urls import path
    from tests.handlers.asking import EventLoopHandler, ask, logged
    from tests.library.models import Account
    from turbo_orm import async_atomic
    from turbo_orm.handlers.places import on_bridge

    async def holding(request):
        async with async_atomic():
            await Account.objects.acount()
            held.set()
            await let_go.wait()
        return HttpResponse("held")

    async def counting(request):
        return HttpResponse(str(await Account.objects.acount()))

    @on_bridge
    def counting_on_bridge(request):
        return HttpResponse(str(Account.objects.count()))

    urlpatterns = [path(v.__name__, v) for v in (holding, counting, counting_on_bridge)]

    async def main():
        global held, let_go
        held, let_go = asyncio.Event(), asyncio.Event()
        application = EventLoopHandler()
        async with asyncio.timeout(20):
            holder = asyncio.create_task(
                ask(application, "/holding", signals=False, is_local=None)
            )
            await held.wait()
            refused = []
            for path in ("/counting", "/counting_on_bridge"):
                # Side by side: all wait for the pool, and each is answered.
                refused += await asyncio.gather(
                    *[ask(application, path, signals=False, is_local=None) for _ in range(3)]
                )
            let_go.set()
            after = [await holder, await ask(application, "/counting_on_bridge", signals=False)]
        answer([
            [[each.status, each.raised] for each in refused],
            [each.status for each in after],
            logs,
        ])

    logs = []
    with logged(logs, is_local=True):
        asyncio.run(main())
"""


def test_no_connection_in_time():
    """It is an error that is logged, and the next request has one."""
    options = {**databases()["default"].get("OPTIONS", {})}
    options["pool"] = {"min_size": 1, "max_size": 1, "timeout": 0.2}
    refused, after, logs = run_in_project(
        CODE,
        ALLOWED_HOSTS=["testserver"],
        ASYNC_BACKEND_DISABLE_POOL_WARNING=True,
        DATABASES=databases(OPTIONS=options),
        ROOT_URLCONF="__main__",
    )
    assert after == [200, 200]
    assert refused == [[500, None]] * 6
    errors = [log for log in logs if log.startswith("django.request ERROR")]
    assert [log.split()[-1] for log in errors] == ["OperationalError"] * 6


@on_bridge
def blocking(request):
    time.sleep(0.2)
    return HttpResponse("done")


async def other(request):
    return HttpResponse("other")


urlpatterns = [path("blocking", blocking), path("other", other)]


def test_a_view_that_blocks_the_event_loop():
    """The others wait for it, and are answered after it."""

    async def main():
        application = EventLoopHandler()
        paths = ["/blocking", "/other", "/blocking", "/other"]
        async with asyncio.timeout(20):
            return await asyncio.gather(
                *[ask(application, each, signals=False, is_local=None) for each in paths]
            )

    with override_settings(ROOT_URLCONF=__name__):
        assert [each.text for each in asyncio.run(main())] == ["done", "other"] * 2
