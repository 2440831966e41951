"""django-debug-toolbar's SQL panel shows the statements of async views."""

from tests.support.project import APPS, run_in_project

PROJECT = """
    from debug_toolbar.store import get_store
    from django.db import ProgrammingError
    from django.http import HttpResponse
    from django.test import AsyncClient, Client
    from django.urls import include, path
    from tests.support.tables import empty
    from tests.library.models import Account
    from turbo_orm import async_atomic


    def by_django(request):
        list(Account.objects.all())
        account = Account.objects.create(owner="new")
        account.entries.create(amount=1)
        list(account.entries.values("amount"))
        Account.objects.filter(pk__gt=0).count()
        account.delete()
        try:
            list(Account.objects.extra(where=["missing"]))
        except ProgrammingError:
            return HttpResponse("<body></body>")


    async def by_turbo_orm(request):
        await Account.objects.alist()
        account = await Account.objects.acreate(owner="new")
        await account.entries.acreate(amount=1)
        await account.entries.values("amount").alist()
        await Account.objects.filter(pk__gt=0).acount()
        await account.adelete()
        try:
            await Account.objects.extra(where=["missing"]).alist()
        except ProgrammingError:
            return HttpResponse("<body></body>")


    async def in_a_block(request):
        async with async_atomic():
            await Account.objects.acount()
        await Account.objects.acount()
        return HttpResponse("<body></body>")


    async def gathered(request):
        await Account.objects.acount()
        await asyncio.gather(Account.objects.aexists(), Account.objects.acount())
        async with asyncio.TaskGroup() as group:
            group.create_task(Account.objects.alist())
        return HttpResponse("<body></body>")


    urlpatterns = [
        path("gathered/", gathered),
        path("django/", by_django),
        path("turbo-orm/", by_turbo_orm),
        path("block/", in_a_block),
        path("__debug__/", include("debug_toolbar.urls")),
    ]


    def shown(response):
        assert response.status_code == 200
        assert "SQLPanel" in response.content.decode()
        return get_store().panel(response["djdt-request-id"], "SQLPanel")["queries"]


    async def ask(*paths):
        client = AsyncClient()
        return [shown(await client.get(path)) for path in paths]
"""

SETTINGS = {
    "ALLOWED_HOSTS": ["testserver"],
    "DEBUG": True,
    "DEBUG_TOOLBAR_PANELS": [
        # It says which request a response is to.
        "debug_toolbar.panels.history.HistoryPanel",
        "debug_toolbar.panels.sql.SQLPanel",
    ],
    "INSTALLED_APPS": [*APPS, "django.contrib.staticfiles", "debug_toolbar"],
    "INTERNAL_IPS": ["127.0.0.1"],
    "MIDDLEWARE": ["debug_toolbar.middleware.DebugToolbarMiddleware"],
    "ROOT_URLCONF": "__main__",
    "STATIC_URL": "/static/",
    # It would log how long a busy machine takes for the first response.
    "TURBO_ORM": {"LOOP_WATCHDOG": 0},
    "TEMPLATES": [
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
    ],
}


def run_with_toolbar(code):
    return run_in_project(PROJECT + code, **SETTINGS)


def test_the_panel_shows_what_it_shows_of_djangos_view(scratch):
    code = """
    django = shown(Client().get("/django/"))
    empty("default")
    (ours,) = asyncio.run(ask("/turbo-orm/"))
    answer([[[query["sql"], query["params"]] for query in queries] for queries in (django, ours)])
    """
    django, ours = run_with_toolbar(code)
    assert len(django) == 8
    assert ours == django


def test_each_request_has_statements_of_its_own(scratch):
    code = """
    async def ask_at_once():
        client = AsyncClient()
        responses = await asyncio.gather(client.get("/turbo-orm/"), client.get("/block/"))
        return [shown(response) for response in responses]

    answer([len(queries) for queries in asyncio.run(ask_at_once())])
    """
    assert run_with_toolbar(code) == [8, 2]


def test_the_panel_shows_which_statements_are_in_a_transaction(scratch):
    code = """
    (queries,) = asyncio.run(ask("/block/"))
    answer([query.get("in_trans", False) for query in queries])
    """
    assert run_with_toolbar(code) == [True, False]


def test_the_panel_shows_the_statements_of_tasks_that_a_view_starts(scratch):
    code = """
    (queries,) = asyncio.run(ask("/gathered/"))
    answer(len(queries))
    """
    assert run_with_toolbar(code) == 4


def test_a_stack_trace_has_the_line_of_the_view(scratch):
    code = """
    django = shown(Client().get("/django/"))
    (ours,) = asyncio.run(ask("/turbo-orm/"))

    def functions(queries):
        return [{frame[2] for frame in query["stacktrace"]} for query in queries]

    answer([
        all("by_django" in names for names in functions(django)),
        all("by_turbo_orm" in names for names in functions(ours)),
    ])
    """
    assert run_with_toolbar(code) == [True, True]
