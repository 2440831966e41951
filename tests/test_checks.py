"""A project's set-up: what is right works, and what is wrong says so."""

import inspect
import sys
import tomllib
from importlib.metadata import version
from pkgutil import resolve_name
from types import ModuleType

import django
import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections, router
from django.db.backends.signals import connection_created
from django.http import HttpResponse
from django.test import override_settings
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import View

import turbo_orm
from tests.library.models import Account
from tests.support.engines import DAB
from tests.support.project import APPS, ROOT, databases, run_in_project, run_python
from turbo_orm import async_atomic
from turbo_orm.backend.handler import ENGINE
from turbo_orm.checks import (
    check_asgi_application,
    check_connection_ages,
    check_engines,
    check_libpq,
    check_multiplexing,
    check_names,
    check_number_of_connections,
    check_replicas,
)
from turbo_orm.driver import libpq
from turbo_orm.handlers.places import is_listed

WRONG_ENGINES = ["django.db.backends.postgresql", "django.db.backends.sqlite3"]

# System checks


def test_there_is_nothing_to_complain_of_here():
    assert check_engines(None) == []
    call_command("check", databases=["default", "other"])


@pytest.mark.parametrize("engine", WRONG_ENGINES)
def test_a_wrong_engine_is_an_error(engine, monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ENGINE", engine)
    (error,) = check_engines(None)
    assert error.id == "turbo_orm.E001"
    assert error.is_serious()
    assert "'default'" in error.msg
    assert "AsyncManager" in error.msg
    assert repr(ENGINE) in error.hint
    assert repr(engine) in error.hint
    with pytest.raises(SystemCheckError, match=r"turbo_orm\.E001"):
        call_command("check")


def test_a_wrong_engine_of_a_database_that_no_such_model_uses_is_none(monkeypatch):
    monkeypatch.setitem(connections.settings["other"], "ENGINE", WRONG_ENGINES[0])
    assert check_engines(None) == []


@pytest.mark.parametrize("method", ["db_for_read", "db_for_write"])
def test_the_routers_say_which_databases_a_model_uses(method, monkeypatch):
    class Router:
        pass

    setattr(Router, method, lambda self, model, **hints: "other" if model is Account else None)
    monkeypatch.setitem(router.__dict__, "routers", [Router()])
    assert check_engines(None) == []
    monkeypatch.setitem(connections.settings["other"], "ENGINE", WRONG_ENGINES[0])
    (error,) = check_engines(None)
    assert "'other'" in error.msg
    assert "library.Account" in error.msg


def test_a_libpq_that_is_not_found_is_a_warning(monkeypatch):
    assert check_libpq(None) == []
    monkeypatch.setattr(libpq, "bind", lambda: False)
    (warning,) = check_libpq(None)
    assert warning.id == "turbo_orm.W001"
    assert not warning.is_serious()


def test_a_replica_that_is_no_database_is_an_error():
    with override_settings(TURBO_ORM={"REPLICAS": {"other": 1, "elsewhere": 2}}):
        (error,) = check_replicas(None)
    assert error.id == "turbo_orm.E006"
    assert "'elsewhere'" in error.msg


@never_cache
def decorated(request):
    return HttpResponse()


@method_decorator(never_cache, name="dispatch")
class Page(View):
    def get(self, request):
        return HttpResponse()


page = Page.as_view()
Sessions = resolve_name("django.contrib.sessions.middleware:SessionMiddleware")

NAMES_AS_DEFINED = [
    "django",
    "tests.test_checks",
    f"{__name__}.decorated",
    f"{__name__}.Page",
    f"{__name__}.Page.get",
    "django.contrib.sessions.middleware.SessionMiddleware",
]
OTHER_NAMES = {
    "tests.test_checks.page": "tests.test_checks.Page",
    "tests.test_checks:Page": "tests.test_checks.Page",
    "tests.test_checks.Sessions": "django.contrib.sessions.middleware.SessionMiddleware",
    "tests.test_checks.turbo_orm": "turbo_orm",
}


@pytest.mark.parametrize("name", NAMES_AS_DEFINED)
def test_what_is_listed_by_its_name_is_right(name):
    with override_settings(TURBO_ORM={"ON_EVENT_LOOP": [name]}):
        assert check_names(None) == []


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_what_is_listed_by_another_name_is_a_warning_that_names_it(name):
    with override_settings(TURBO_ORM={"ON_EVENT_LOOP": ["tests.plain", name]}):
        (warning,) = check_names(None)
        assert not is_listed(resolve_name(name.replace(":", ".")))
    assert warning.id == "turbo_orm.W005"
    assert not warning.is_serious()
    assert repr(name) in warning.msg
    assert repr(OTHER_NAMES[name]) in warning.hint
    with override_settings(TURBO_ORM={"ON_EVENT_LOOP": [OTHER_NAMES[name]]}):
        assert check_names(None) == []


def test_middleware_may_be_listed_as_it_is_in_the_settings():
    name = "tests.test_checks.Sessions"
    with override_settings(TURBO_ORM={"ON_EVENT_LOOP": [name]}, MIDDLEWARE=[name]):
        assert check_names(None) == []
        assert is_listed(Sessions)


@pytest.mark.parametrize(
    "name", ["tests.is_not_there", "is_not_there", "", "not a name", "tests.plain.models.x"]
)
def test_what_is_listed_and_cannot_be_imported_is_a_warning_that_names_it(name):
    with override_settings(TURBO_ORM={"ON_EVENT_LOOP": [name, "django"]}):
        (warning,) = check_names(None)
        call_command("check")
    assert warning.id == "turbo_orm.W004"
    assert not warning.is_serious()
    assert repr(name) in warning.msg


DJANGOS = """
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
application = get_asgi_application()
raise AssertionError("it was imported")
"""
OURS = DJANGOS.replace("django.core.asgi", "turbo_orm.asgi")
APPLICATIONS = {
    "Django's": (DJANGOS, True),
    "turbo-orm's": (OURS, False),
    "Django's, as a module": (DJANGOS.replace("core.asgi import", "core import asgi,"), True),
    "Django's, by its path": ("import django.core.asgi as djangos", True),
    "Django's handler": ("from django.core.handlers.asgi import ASGIHandler", True),
    "turbo-orm's, as a module": ("from turbo_orm import asgi", False),
    "turbo-orm's or Django's": (DJANGOS + OURS, False),
    "of another module": ("from mysite.serving import application", False),
    "not in Python": ("import :", False),
}


@pytest.mark.parametrize("case", APPLICATIONS)
def test_an_application_of_djangos_is_told(case, tmp_path, monkeypatch):
    source, expected = APPLICATIONS[case]
    (tmp_path / "asgi_of_a_project.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with override_settings(ASGI_APPLICATION="asgi_of_a_project.application"):
        found = check_asgi_application(None)
    assert [message.id for message in found] == ["turbo_orm.I002"] * expected
    assert "asgi_of_a_project" not in sys.modules
    for message in found:
        assert "'asgi_of_a_project.application'" in message.msg
        assert "have no effect" not in message.msg
        assert "turbo_orm.asgi" in message.hint


def test_settings_that_an_application_of_djangos_ignores_are_told(tmp_path, monkeypatch):
    (tmp_path / "asgi_of_a_project.py").write_text(DJANGOS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    given = {"SYNC_VIEWS": "bridge", "QUERY_CACHE": True, "ON_EVENT_LOOP": ["django"]}
    with override_settings(ASGI_APPLICATION="asgi_of_a_project.application", TURBO_ORM=given):
        (message,) = check_asgi_application(None)
    assert "ON_EVENT_LOOP and SYNC_VIEWS of TURBO_ORM have no effect" in message.msg


@pytest.mark.parametrize("name", [None, "", "application", "not_there.asgi.application", 1, len])
def test_an_application_that_is_not_there_is_left_to_the_server(name):
    with override_settings(ASGI_APPLICATION=name):
        assert check_asgi_application(None) == []


POOLS = {
    "missing": ({}, ENGINE, None),
    "missing, of the other engine": ({}, DAB, "turbo_orm.I001"),
    "none": ({"pool": False}, ENGINE, "turbo_orm.I001"),
    "given": ({"pool": {"max_size": 5}}, ENGINE, "turbo_orm.E004"),
    "given, of the other engine": ({"pool": True}, DAB, "turbo_orm.E004"),
    "given, of Django's engine": ({"pool": True}, WRONG_ENGINES[0], None),
}


@pytest.mark.parametrize("case", POOLS)
@pytest.mark.parametrize("age", [0, 60, None])
def test_a_conn_max_age_without_effect_is_told(case, age, monkeypatch):
    options, engine, expected = POOLS[case]
    entry = connections.settings["other"]
    monkeypatch.setitem(entry, "ENGINE", engine)
    monkeypatch.setitem(entry, "OPTIONS", options)
    monkeypatch.setitem(entry, "CONN_MAX_AGE", age)
    found = [message for message in check_connection_ages(None) if "'other'" in message.msg]
    assert [message.id for message in found] == ([expected] if expected and age != 0 else [])


SHARED = {
    "large enough": ({"MULTIPLEX": 2}, {"pool": {"max_size": 9}}, []),
    "off": ({}, {"pool": {"max_size": 1}}, []),
    "too small": (
        {"MULTIPLEX": 2},
        {"pool": {"max_size": 8}},
        ["a pool of 8 connections: the number of connections that are shared is 1."],
    ),
    "much too small": (
        {"MULTIPLEX": 1},
        {"pool": {"max_size": 4}},
        ["a pool of 4 connections: the number of connections that are shared is 0."],
    ),
    "that of the engine": ({"MULTIPLEX": 2}, {}, []),
    "none": (
        {"MULTIPLEX": 2},
        {"pool": False},
        ["no pool: the number of connections that are shared is 0."],
    ),
    "nothing prepared": (
        {"MULTIPLEX": 2, "PREPARE": False},
        {"pool": {"max_size": 9}},
        ["no effect without PREPARE."],
    ),
    "neither cached nor direct": (
        {"MULTIPLEX": 2, "DIRECT_EXECUTION": False, "QUERY_CACHE": False},
        {"pool": {"max_size": 9}},
        ["no effect without DIRECT_EXECUTION and QUERY_CACHE."],
    ),
}


@pytest.mark.parametrize("case", SHARED)
def test_connections_that_are_not_shared_as_is_asked_for_are_told(case, monkeypatch):
    given, options, expected = SHARED[case]
    entry = connections.settings["other"]
    monkeypatch.setitem(entry, "ENGINE", ENGINE)
    monkeypatch.setitem(entry, "OPTIONS", options)
    with override_settings(TURBO_ORM=given):
        found = check_multiplexing(None)
    # Other databases of the tests have small pools, or none.
    found = [each for each in found if "no effect" in each.msg or "'other'" in each.msg]
    for message, text in zip(found, expected, strict=True):
        assert message.id == "turbo_orm.W006"
        assert message.msg.endswith(text)


def test_django_refuses_what_the_error_is_about():
    code = """
        from django.core.exceptions import ImproperlyConfigured
        from tests.library.models import Account

        try:
            Account.objects.count()
        except ImproperlyConfigured as error:
            answer(str(error))
    """
    entry = databases(ENGINE=ENGINE, OPTIONS={"pool": True}, CONN_MAX_AGE=60)
    assert "persistent connections" in run_in_project(code, DATABASES=entry)


BUDGETS = {
    "the defaults": ({}, None, None),
    "as many as the server admits": ({"pool": {"min_size": 1, "max_size": 40}}, None, None),
    "a pool that is too large": (
        {"pool": {"max_size": 60}},
        None,
        "A process may open 120 connections to 'default' (60 of async code's pool, 60 of sync "
        "code's pool), and the server admits 97.",
    ),
    "too many processes": (
        {},
        "12",
        "A process may open 10 connections to 'default' (10 of async code's pool), there are 12 "
        "processes (WEB_CONCURRENCY), and the server admits 97.",
    ),
    "an odd number of processes": ({}, "many", None),
    "no pool": ({"pool": False}, "200", None),
}


@pytest.mark.parametrize("case", BUDGETS)
def test_a_pool_that_the_server_does_not_admit_is_told(case, monkeypatch, tables):
    options, processes, expected = BUDGETS[case]
    entry = connections.settings["default"]
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int"
        )
        if cursor.fetchone() != (97,):
            pytest.skip("the server does not admit the number of connections it does by default")
    monkeypatch.setitem(entry, "ENGINE", ENGINE)
    monkeypatch.setitem(entry, "OPTIONS", options)
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    if processes:
        monkeypatch.setenv("WEB_CONCURRENCY", processes)
    found = [message.msg for message in check_number_of_connections(None, databases=["default"])]
    assert found == ([expected] if expected else [])
    assert check_number_of_connections(None) == []


def test_a_server_that_is_not_there_is_told_by_what_needs_it():
    code = """
        from turbo_orm.checks import check_number_of_connections

        answer(check_number_of_connections(None, databases=["default"]))
    """
    entry = databases(ENGINE=ENGINE, NAME="turbo_orm_test_is_not_there")
    assert run_in_project(code, DATABASES=entry) == []


# Errors

ASK = """
    from django.core.checks import run_checks
    from django.db import connections
    from tests.library.models import Account
    from turbo_orm import AsyncQuerySet, async_atomic

    ARGUMENTS = {
        "ain_bulk": [[1]],
        "acontains": [Account(pk=1)],
        "abulk_create": [[Account(owner="x")]],
        "abulk_update": [[Account(pk=1)], ["owner"]],
    }
    KEYWORDS = {
        "aearliest": {"fields": "pk"},
        "alatest": {"fields": "pk"},
        "aaggregate": {"n": __import__("django").db.models.Count("pk")},
        "acreate": {"owner": "x"},
        "aupdate": {"owner": "x"},
    }

    async def ask(name):
        if name == "async for":
            return [account async for account in Account.objects.all()]
        if name == "raw":
            return [account async for account in Account.objects.raw("SELECT 1 AS id")]
        if name == "aiterator":
            return [account async for account in Account.objects.aiterator()]
        if name == "async_atomic":
            async with async_atomic():
                return
        if name in {"asave", "adelete of an instance", "arefresh_from_db"}:
            return await getattr(Account(pk=1, owner="x"), name.split()[0])()
        if name in {"aearliest", "alatest"}:
            return await getattr(Account.objects.all(), name)("pk")
        if name == "ajson_chunks":
            return [part async for part in Account.objects.values("pk").ajson_chunks()]
        rows = Account.objects.values("pk") if name == "ajson" else Account.objects.all()
        method = getattr(rows, name)
        return await method(*ARGUMENTS.get(name, []), **KEYWORDS.get(name, {}))

    async def outcomes():
        found = {}
        for name in NAMES:
            try:
                await ask(name)
            except Exception as exc:
                found[name] = [type(exc).__name__, str(exc)]
            else:
                found[name] = None
        return found
"""

NAMES = [
    "async for",
    "raw",
    "async_atomic",
    "asave",
    "adelete of an instance",
    "arefresh_from_db",
    *sorted(
        name
        for name, method in inspect.getmembers(turbo_orm.AsyncQuerySet)
        if not name.startswith("_")
        and (inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method))
    ),
]


@pytest.mark.parametrize("engine", WRONG_ENGINES)
def test_with_a_wrong_engine_every_terminal_says_so(engine):
    name = {"NAME": ":memory:"} if engine.endswith("sqlite3") else {}
    code = f"NAMES = {NAMES!r}\n" + inspect.cleandoc(ASK) + "\nanswer(asyncio.run(outcomes()))"
    answers = run_in_project(code, DATABASES=databases(ENGINE=engine, **name))
    assert set(answers) == set(NAMES)
    for name, outcome in answers.items():
        assert outcome is not None, name
        error, message = outcome
        assert error == "ImproperlyConfigured", (name, outcome)
        assert "'default'" in message, name
        assert repr(engine) in message, name
        assert repr(ENGINE) in message, name


def test_with_a_wrong_engine_sync_code_works(tables):
    code = """
        from tests.library.models import Account
        answer([Account.objects.filter(owner="nobody").count(), list(Account.objects.none())])
    """
    engine = "django.db.backends.postgresql"
    assert run_in_project(code, DATABASES=databases(ENGINE=engine)) == [0, []]


@pytest.mark.parametrize(
    ("core", "words"),
    [
        ("None", "is missing or was built for another Python"),
        ("ModuleType('turbo_orm._core')", "it lacks Exchange, HydrationError, Plan, bind_libpq"),
    ],
)
def test_a_missing_native_module_says_how_to_install_it(core, words):
    shown = run_python(
        f"""
import sys
from types import ModuleType
sys.modules["turbo_orm._core"] = {core}
try:
    import turbo_orm
except ImportError as exc:
    print(exc)
"""
    )
    assert words in shown
    assert "turbo_orm._core" in shown
    assert "make wheel" in shown


# What else may be installed

WORK = """
    from django.db.models.signals import post_save
    from tests.support.event_loop import only_the_event_loop
    from tests.library.models import Account, Entry, Player, Skill
    from turbo_orm import async_atomic
    from django_async_backend.db import async_connections

    counted = []

    def count(instance, **kwargs):
        counted.append(Account.objects.filter(pk=instance.pk).count())

    post_save.connect(count, sender=Account)

    async def work():
        async with async_atomic():
            account = await Account.objects.acreate(owner="set up")
            await account.entries.acreate(amount=1)
            account.balance = 5
            await account.asave()
            await account.arefresh_from_db()
            player = await Player.objects.acreate(name="set up")
            await player.skills.acreate(name="set up")
            await player.skills.aset(await Skill.objects.filter(name="set up").alist())
            found = [
                account.balance,
                counted,
                await account.entries.acount(),
                [skill.name async for skill in player.skills.all()],
                [type(e).__name__ async for e in Entry.objects.select_related("account")],
                [e.amount async for e in Entry.objects.filter(amount__gt=0).aiterator()],
                await player.adelete(),
                await account.adelete(),
                await Skill.objects.filter(name="set up").adelete(),
            ]
        await async_connections["default"].close()
        return found

    with only_the_event_loop():
        answer(asyncio.run(work()))
"""
WORKED = [
    5,
    [1, 1],
    1,
    ["set up"],
    ["Entry"],
    [1],
    [2, {"library.Player_skills": 1, "library.Player": 1}],
    [2, {"library.Entry": 1, "library.Account": 1}],
    [1, {"library.Skill": 1}],
]


def test_it_works_without_the_app_of_the_backend(scratch):
    assert run_in_project(WORK) == WORKED


@pytest.mark.skipif(django.VERSION < (6, 1), reason="its app cannot be loaded there")
@pytest.mark.parametrize("first", [True, False])
def test_it_works_with_the_app_of_the_backend(first, scratch):
    backend = ["django_async_backend"]
    apps = [*backend, *APPS] if first else [*APPS, *backend]
    assert run_in_project(WORK, INSTALLED_APPS=apps) == WORKED


OPTIONS = {
    "bindings on the server": {"server_side_binding": True},
    "prepared statements": {"prepare_threshold": 0},
    "another level of isolation": {"isolation_level": 3},
}


@pytest.mark.parametrize("case", OPTIONS)
def test_it_works_with_options_of_the_driver(case, scratch):
    options = {**databases()["default"].get("OPTIONS", {}), **OPTIONS[case]}
    assert run_in_project(WORK, DATABASES=databases(OPTIONS=options)) == WORKED


def test_it_works_with_a_pool(scratch):
    pool = {"min_size": 1, "max_size": 2, "timeout": 5}
    options = {**databases()["default"].get("OPTIONS", {}), "pool": pool}
    code = """
        from tests.support.event_loop import only_the_event_loop
        from tests.library.models import Account
        from turbo_orm import async_atomic
        from django_async_backend.db import async_connections
        from contextvars import Context

        async def work(number):
            try:
                async with async_atomic():
                    await Account.objects.acreate(owner=f"pooled {number}")
                    return async_connections["default"].connection.info.backend_pid
            finally:
                await async_connections["default"].close()

        async def main():
            tasks = [asyncio.create_task(work(n), context=Context()) for n in range(6)]
            pids = await asyncio.gather(*tasks)
            count = await Account.objects.acount()
            await async_connections["default"].close()
            await async_connections["default"].close_pool()
            return len(set(pids)), count

        with only_the_event_loop():
            answer(asyncio.run(main()))
    """
    connections_used, count = run_in_project(code, DATABASES=databases(OPTIONS=options))
    assert connections_used <= 2
    assert count == 6


OPENERS = {
    "a terminal": "found = [bag.data async for bag in Bag.objects.all()]",
    "aiterator": "found = [bag.data async for bag in Bag.objects.aiterator()]",
    "async_atomic": """
            async with async_atomic():
                found = [bag.data async for bag in Bag.objects.all()]
    """,
}


@pytest.mark.parametrize("opener", OPENERS)
def test_the_types_of_an_extension_are_registered(opener, extended):
    """By a receiver of connection_created in django.contrib.postgres, which queries."""
    code = """
        from django_async_backend.db import async_connections
        from tests.support.event_loop import only_the_event_loop
        from tests.library.fields import Bag
        from turbo_orm import async_atomic

        async def main():
            OPEN
            await async_connections["default"].close()
            return found

        with only_the_event_loop():
            answer(asyncio.run(main()))
    """
    code = inspect.cleandoc(code).replace("OPEN", OPENERS[opener].strip())
    apps = ["django.contrib.postgres", *APPS]
    found = run_in_project(code, INSTALLED_APPS=apps)
    assert {"a": "1", "": None, "NULL": "NULL"} in found


CURSORS = {
    "of the alias": lambda connection: connections[connection.alias].cursor(),
    "of the connection that it is given": lambda connection: connection.cursor(),
}


@pytest.mark.parametrize("cursor_of", CURSORS)
@pytest.mark.parametrize("opener", ["acount", "aiterator", "async_atomic"])
def test_a_receiver_of_connection_created_may_use_a_cursor(cursor_of, opener, run, tables):
    asked = []

    def ask(connection, **kwargs):
        with CURSORS[cursor_of](connection) as cursor:
            cursor.execute("SELECT 1")
            asked.append(cursor.fetchone())

    async def open_connection():
        if opener == "acount":
            await Account.objects.acount()
        elif opener == "aiterator":
            async for _ in Account.objects.aiterator():
                pass
        else:
            async with async_atomic():
                pass

    connection_created.connect(ask)
    try:
        run(open_connection)
    finally:
        connection_created.disconnect(ask)
    assert asked == [(1,)]


# The package


def test_all_names_what_is_public():
    public = [
        name
        for name, value in vars(turbo_orm).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    ]
    assert turbo_orm.__all__ == sorted(public)


def test_there_is_one_version():
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    assert cargo["workspace"]["package"]["version"] == turbo_orm.__version__
    assert version("turbo-orm") == turbo_orm.__version__
