"""``ATOMIC_REQUESTS``: async views in a transaction each, held against Django's for sync ones."""

import pytest

from tests.support.project import APPS, databases, run_in_project

SITE = """
    from functools import partial

    from asgiref.sync import iscoroutinefunction, sync_to_async
    from django.core.asgi import get_asgi_application
    from django.db import connections, transaction
    from django.http import HttpResponse
    from django.test import AsyncClient, Client
    from django.urls import path
    from django.utils.decorators import sync_and_async_middleware
    from django.views import View
    from django_async_backend.db import async_connections
    from tests.support.event_loop import only_the_event_loop
    from tests.library.models import Account
    from turbo_orm import bridge

    ALIASES = ["default", "other"]
    happened = []

    def work(outcome):
        for alias in ALIASES:
            Account.objects.using(alias).create(owner="Ada")
            transaction.on_commit(partial(note, alias), using=alias)
        in_transaction = [transaction.get_connection(a).in_atomic_block for a in ALIASES]
        happened.append(["worked", in_transaction])
        if outcome == "abandoned":
            transaction.set_rollback(True)

    def note(alias):
        happened.append([f"{alias} was committed", Account.objects.using(alias).count()])

    def respond(outcome):
        happened.append("responds")
        if outcome == "broken":
            raise LookupError(outcome)
        return HttpResponse(outcome, status=500 if outcome == "refused" else 200)

    def sync_view(request, outcome):
        work(outcome)
        return respond(outcome)

    async def async_view(request, outcome):
        await bridge.run(work, outcome)
        return respond(outcome)

    class SyncClass(View):
        def get(self, request, outcome):
            return sync_view(request, outcome)

    class AsyncClass(View):
        async def get(self, request, outcome):
            return await async_view(request, outcome)

    def functions(decorated):
        # Views of their own: the decorator notes on a view what it is exempt from.
        @decorated
        def sync_one(request, outcome):
            return sync_view(request, outcome)

        @decorated
        async def async_one(request, outcome):
            return await async_view(request, outcome)

        return sync_one, async_one

    exempt = transaction.non_atomic_requests
    VIEWS = {
        "function": functions(lambda view: view),
        "class": [SyncClass.as_view(), AsyncClass.as_view()],
        "exempt": functions(exempt),
        "exempt from other": functions(exempt(using="other")),
        "exempt from both": functions(lambda view: exempt(exempt(using="other")(view))),
    }
    urlpatterns = [
        path(f"{way}/{name}/<outcome>/", view)
        for name, views in VIEWS.items()
        for way, view in zip(["sync", "async"], views)
    ]

    @sync_and_async_middleware
    def guard(get_response):
        # Django itself hops where a view raises.
        async def guarded(request):
            if request.path.endswith("/broken/"):
                return await get_response(request)
            with only_the_event_loop():
                return await get_response(request)
        return guarded if iscoroutinefunction(get_response) else get_response

    def ask(visit):
        happened.clear()
        for alias in ALIASES:
            Account.objects.using(alias).all().delete()
        status = visit()
        rows = [Account.objects.using(alias).count() for alias in ALIASES]
        return {"status": status, "happened": list(happened), "rows": rows}

    async def close():
        for alias in ALIASES:
            await async_connections[alias].close()
        await sync_to_async(connections.close_all)()

    async def get(url):
        response = await AsyncClient(raise_request_exception=False).get(url)
        await close()
        return response.status_code

    async def call(url):
        # As a server calls it.
        sent = []
        received = [{"type": "http.request", "body": b""}]
        scope = {
            "type": "http",
            "method": "GET",
            "path": url,
            "headers": [(b"host", b"testserver")],
            "query_string": b"",
        }

        async def receive():
            return received.pop() if received else await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        await get_asgi_application()(scope, receive, send)
        await close()
        return sent[0]["status"]

    def by_django(name, outcome):
        client = Client(raise_request_exception=False)
        return ask(lambda: client.get(f"/sync/{name}/{outcome}/").status_code)

    def by_turbo_orm(name, outcome, visit=get):
        return ask(lambda: asyncio.run(visit(f"/async/{name}/{outcome}/")))
"""

ON = {"ATOMIC_REQUESTS": True}


def visit(code, *, default=ON, other=ON, **changes):
    """Run code on a site, whose databases have these settings, and return its answer."""
    found = databases(**default)
    found["other"] |= other
    settings = {
        "ALLOWED_HOSTS": ["testserver"],
        "DATABASES": found,
        # Errors of views are answered, not told.
        "LOGGING_CONFIG": None,
        "LOGGING": {},
        "MIDDLEWARE": ["__main__.guard"],
        "ROOT_URLCONF": "__main__",
    }
    silent = "\n    import logging\n    logging.disable()\n"
    return run_in_project(silent + SITE + code, **settings | changes)


OUTCOMES = ["fine", "refused", "broken", "abandoned"]
COMMITTED = ["default was committed", 1], ["other was committed", 1]


@pytest.mark.parametrize("kind", ["function", "class"])
def test_a_view_is_committed_or_rolled_back(kind, scratch):
    asked = [(kind, outcome) for outcome in OUTCOMES]
    expected, answers = visit(
        f"""
    answer([[ask(*a) for a in {asked}] for ask in (by_django, by_turbo_orm)])
    """
    )
    assert answers == expected
    fine, refused, broken, abandoned = answers
    # The last database is the outermost, and the last to commit.
    assert fine["happened"] == [["worked", [True, True]], "responds", *map(list, COMMITTED)]
    assert fine["rows"] == refused["rows"] == [1, 1]
    assert (broken["status"], broken["rows"]) == (500, [0, 0])
    assert broken["happened"] == [["worked", [True, True]], "responds"]
    assert abandoned["rows"] == [0, 1]


def test_a_server_that_calls_the_handler_finds_the_same(scratch):
    answers = visit(
        """
    answer([
        [by_turbo_orm("function", outcome, visit) for visit in (get, call)]
        for outcome in ("fine", "refused", "broken")
    ])
    """
    )
    for by_client, by_server in answers:
        assert by_server == by_client


EXEMPT = {
    # Without an alias, the default database is meant.
    "exempt": [False, True],
    "exempt from other": [True, False],
    "exempt from both": [False, False],
}


@pytest.mark.parametrize("kind", EXEMPT)
def test_a_view_that_is_exempt_from_a_transaction_is_in_none(kind, scratch):
    expected, answers = visit(
        f"""
    answer([[ask({kind!r}, o) for o in ("fine", "broken")] for ask in (by_django, by_turbo_orm)])
    """
    )
    assert answers == expected
    _, broken = answers
    assert broken["happened"][-2:] == [["worked", EXEMPT[kind]], "responds"]
    assert broken["rows"] == [0 if atomic else 1 for atomic in EXEMPT[kind]]


def test_a_database_that_does_not_ask_for_it_is_left_alone(scratch):
    expected, answers = visit(
        """
    answer([[ask("function", "broken")] for ask in (by_django, by_turbo_orm)])
    """,
        other={},
    )
    assert answers == expected
    assert answers[0]["rows"] == [0, 1]


REFUSED = """
    async def told():
        try:
            await get("/async/function/broken/")
        except RuntimeError as exc:
            return str(exc)

    AsyncClient = partial(AsyncClient, raise_request_exception=True)
    get = lambda url: AsyncClient().get(url)
    found = asyncio.run(told())
    answer([found, by_django("function", "fine")["rows"]])
"""
DJANGOS = "You cannot use ATOMIC_REQUESTS with async views."


def test_a_database_without_async_connection_is_refused_as_by_django(scratch):
    other = {**ON, "ENGINE": "django.db.backends.postgresql"}
    assert visit(REFUSED, default={}, other=other) == [DJANGOS, [1, 1]]


def test_without_the_app_django_refuses(scratch):
    apps = [app for app in APPS if app != "turbo_orm"]
    assert visit(REFUSED, INSTALLED_APPS=apps) == [DJANGOS, [1, 1]]


INSIDE = """
    from turbo_orm import async_atomic
    from django.contrib.auth.models import User

    async def child(request):
        return await asyncio.create_task(Account.objects.acount())

    @transaction.non_atomic_requests(using="other")
    async def gathered(request):
        return await asyncio.gather(*[Account.objects.acount() for _ in range(2)])

    class Grouped(View):
        async def get(self, request):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(Account.objects.acount())

    async def pinned(request):
        async with async_atomic():
            return await asyncio.create_task(Account.objects.acount())

    async def threaded(request):
        return await User.objects.aexists()

    VIEWS = [child, gathered, Grouped.as_view(), partial(child), pinned, threaded]
    urlpatterns = [path(f"{i}/", view) for i, view in enumerate(VIEWS)]

    async def told(url):
        try:
            await AsyncClient().get(url)
        except ExceptionGroup as exc:
            return str(exc.exceptions[0])
        except transaction.TransactionManagementError as exc:
            return str(exc)
        finally:
            await close()

    answer([asyncio.run(told(f"/{i}/")) for i in range(len(VIEWS))])
"""


def test_what_is_refused_inside_names_the_view_and_the_setting(scratch):
    apps = [*APPS, "django.contrib.auth"]
    said = visit(INSIDE, INSTALLED_APPS=apps, MIDDLEWARE=[], TURBO_ORM={"PATCH_DJANGO": False})
    names = ["child", "gathered", "Grouped", "child", "pinned", "threaded"]
    for name, message in zip(names, said, strict=True):
        assert f"(the view __main__.{name}, by ATOMIC_REQUESTS" in message
        assert "transaction.non_atomic_requests" in message
