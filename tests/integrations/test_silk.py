"""django-silk records what an async view sends as it does what a sync one does."""

from collections import Counter

import pytest

from tests.support.project import APPS, run_in_project
from tests.support.sent import Wire

pytest.importorskip("silk")

PROJECT = """
    from asgiref.sync import sync_to_async
    from django.core.management import call_command
    from django.db import connections
    from django.http import HttpResponse
    from django.test import AsyncClient, Client
    from django.urls import path
    from silk.models import SQLQuery
    from tests.library.models import Account
    from turbo_orm import async_atomic

    def by_django(request):
        for name in ("one", "two"):
            list(Account.objects.all())
            Account.objects.filter(pk__gt=0).count()
            account = Account.objects.create(owner=name)
            list(account.entries.values("amount"))
            Account.objects.filter(owner=name).update(balance=3)
            account.delete()
        return HttpResponse("")

    def interrupted(request):
        raise KeyboardInterrupt

    async def one_after_the_other(request):
        await statements("one")
        async with async_atomic():
            await statements("two")
        return HttpResponse("")

    async def gathered(request):
        await asyncio.gather(statements("one"), asyncio.create_task(statements("two")))
        return HttpResponse("")

    async def statements(name):
        await Account.objects.alist()
        await Account.objects.filter(pk__gt=0).acount()
        account = await Account.objects.acreate(owner=name)
        await account.entries.values("amount").alist()
        await Account.objects.filter(owner=name).aupdate(balance=3)
        await account.adelete()

    urlpatterns = [
        path("django/", by_django),
        path("turbo-orm/", one_after_the_other),
        path("gathered/", gathered),
        path("interrupted/", interrupted),
    ]

    async def ask(times, *paths):
        client = AsyncClient()
        for _ in range(times):
            await asyncio.gather(*[client.get(path) for path in paths])
        # Those of the thread in which the middleware runs.
        await sync_to_async(connections.close_all)()

    def recorded():
        found = SQLQuery.objects.order_by("pk").values_list("request__path", "query")
        return [[path, query.split()[0]] for path, query in found]

    def with_silk(function, result=recorded):
        call_command("migrate", "silk", verbosity=0)
        try:
            function()
            answer(result())
        finally:
            call_command("migrate", "silk", "zero", verbosity=0)
"""


def run_with_silk(code, **settings):
    with Wire() as wire:
        answer = run_in_project(
            PROJECT + code,
            ALLOWED_HOSTS=["testserver"],
            DATABASES={"default": wire.database()},
            INSTALLED_APPS=[*APPS, "silk"],
            MIDDLEWARE=["silk.middleware.SilkyMiddleware"],
            ROOT_URLCONF="__main__",
            TEMPLATES=[
                {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
            ],
            **settings,
        )
    return answer, wire.sent


def by_path(recorded):
    return {
        path: Counter(verb for other, verb in recorded if other == path) for path, _ in recorded
    }


def test_each_statement_is_recorded_with_its_request(scratch):
    code = """
    def ask_all():
        asyncio.run(ask(4, "/turbo-orm/"))
        asyncio.run(ask(2, "/gathered/"))
        for _ in range(4):
            Client().get("/django/")

    with_silk(ask_all)
    """
    recorded, sent = run_with_silk(code)
    found = by_path(recorded)
    # It records none that INSERT, and has the server EXPLAIN the others.
    verbs = Counter(each.split()[0] for each in sent if "library_" in each)
    del verbs["EXPLAIN"], verbs["INSERT"]
    assert sum(found.values(), Counter()) == verbs
    assert found["/turbo-orm/"] == found["/django/"]
    assert found["/turbo-orm/"].total() > 40
    assert found["/gathered/"].total() == found["/django/"].total() / 2


def test_a_request_is_profiled_after_one_that_was_interrupted(scratch):
    code = """
    from contextlib import suppress

    from silk.models import Request

    def ask_both():
        with suppress(KeyboardInterrupt):
            Client().get("/interrupted/")
        Client().get("/django/")

    def profiled():
        found = Request.objects.order_by("start_time").values_list("path", "pyprofile")
        return [[path, bool(profile)] for path, profile in found]

    with_silk(ask_both, profiled)
    """
    found, _ = run_with_silk(code, SILKY_PYTHON_PROFILER=True)
    assert found == [["/interrupted/", False], ["/django/", True]]
