"""The panel of django-debug-toolbar that shows thread hops."""

from tests.support.project import APPS, run_in_project

PROJECT = """
    from debug_toolbar.store import get_store
    from debug_toolbar.toolbar import StoredDebugToolbar
    from django.http import HttpResponse
    from django.test import AsyncClient, Client
    from django.urls import include, path


    def compute(number):
        return number


    def sync(request):
        return HttpResponse("<body></body>")


    async def awaiting(request):
        await asyncio.sleep(0)
        return HttpResponse("<body></body>")


    async def hopping(request):
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(compute, 1))
            group.create_task(asyncio.to_thread(compute, 2))
        return HttpResponse("<body></body>")


    def calling(request):
        from asgiref.sync import async_to_sync
        return async_to_sync(hopping)(request)


    urlpatterns = [
        path("sync/", sync),
        path("awaiting/", awaiting),
        path("hopping/", hopping),
        path("calling/", calling),
        path("__debug__/", include("debug_toolbar.urls")),
    ]


    def shown(response):
        assert response.status_code == 200
        request = response["djdt-request-id"]
        panel = StoredDebugToolbar.fetch(request, "HopsPanel").get_panel_by_id("HopsPanel")
        return [panel.nav_subtitle, panel.content, get_store().panel(request, "HopsPanel")]


    async def ask(*paths):
        client = AsyncClient()
        responses = await asyncio.gather(*(client.get(path) for path in paths))
        return [shown(response) for response in responses]
"""

SETTINGS = {
    "ALLOWED_HOSTS": ["testserver"],
    "DEBUG": True,
    "DEBUG_TOOLBAR_PANELS": [
        "debug_toolbar.panels.history.HistoryPanel",
        "turbo_orm.explain.toolbar.HopsPanel",
        # It goes to a thread itself.
        "debug_toolbar.panels.sql.SQLPanel",
    ],
    "INSTALLED_APPS": [*APPS, "django.contrib.staticfiles", "debug_toolbar"],
    "INTERNAL_IPS": ["127.0.0.1"],
    "MIDDLEWARE": ["debug_toolbar.middleware.DebugToolbarMiddleware"],
    "ROOT_URLCONF": "__main__",
    "STATIC_URL": "/static/",
    "TEMPLATES": [
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
    ],
}


def run_with_panel(code):
    return run_in_project(PROJECT + code, **SETTINGS)


def test_each_request_has_hops_of_its_own():
    code = """
    answer(asyncio.run(ask("/awaiting/", "/hopping/", "/sync/")))
    """
    (none, empty, awaiting), (two, page, hopping), (one, _, sync) = run_with_panel(code)
    assert [none, two, one] == ["0 hops", "2 hops", "1 hop"]
    assert awaiting["hops"] == []
    assert awaiting["tasks_created"] == 0
    assert "has stayed on the event loop" in empty
    assert [hop["kind"] for hop in hopping["hops"]] == ["call", "call"]
    assert hopping["tasks_created"] == 2
    assert "the project&#x27;s own call of __main__.compute()" in page
    assert "run_sync() if it only queries" in page
    assert [hop["cause"] for hop in sync["hops"]] == ["the view __main__.sync is sync"]


def test_sync_requests_have_those_of_the_async_code_that_they_call():
    code = """
    answer([shown(Client().get(path)) for path in ("/sync/", "/calling/")])
    """
    (none, *_), (two, _, calling) = run_with_panel(code)
    assert [none, two] == ["0 hops", "2 hops"]
    assert [hop["function"] for hop in calling["hops"]] == ["__main__.compute"] * 2


def test_nothing_stays_replaced():
    code = """
    import threading

    def methods():
        loop = asyncio.BaseEventLoop
        return [loop.run_in_executor, loop.create_task, threading.Thread.start]

    before = methods()
    asyncio.run(ask("/hopping/", "/sync/"))
    Client().get("/calling/")
    answer(all(each is other for each, other in zip(before, methods(), strict=True)))
    """
    assert run_with_panel(code) is True
