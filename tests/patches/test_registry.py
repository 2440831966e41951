"""What is done to Django is done by the app, is listed, and can be undone without a trace."""

import json

import pytest
from django.core.management import CommandError, call_command

from tests.support.project import APPS, OPTIONAL_APPS, run_in_project, run_python
from turbo_orm.patches import registry
from turbo_orm.patches.patch import Group, Receiver, Replacement

SETTINGS = {
    "DATABASES": {},
    "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
    "INSTALLED_APPS": [
        *(f"django.contrib.{name}" for name in ("auth", "sessions", "staticfiles", "postgres")),
        *APPS,
        "debug_toolbar",
        *OPTIONAL_APPS,
    ],
    "SECRET_KEY": "for tests only",
    "STATIC_URL": "/static/",
    "TURBO_ORM": {"PATCH_DJANGO": False},
    "USE_TZ": True,
}


def test_importing_changes_nothing():
    """Nor does it need settings."""
    code = """
import json
import pkgutil
from importlib import import_module

import django_async_backend.db.backends.postgresql.base
import psycopg_pool
import django.contrib.postgres.signals
import django.core.handlers.asgi
import django.core.paginator
import django.db.models
import django.test
from django.conf import settings
from tests.support.foreign_objects import changed, snapshot

before = snapshot()
import turbo_orm
for module in pkgutil.walk_packages(turbo_orm.__path__, "turbo_orm."):
    # What they derive from needs settings, or GDAL: a project imports them, or its settings do.
    if module.name not in {
        "turbo_orm.backends.postgis.base",
        "turbo_orm.explain.toolbar",
        "turbo_orm.http.ninja",
        "turbo_orm.http.rest_framework",
    }:
        import_module(module.name)
assert not settings.configured
print(json.dumps([list(changed(before, snapshot()).values()), len(before) > 10_000]))
"""
    assert json.loads(run_python(code)) == [[], True]


# A project that is set up, but for what the app does then.
NOT_READY = """
import json, sys
from importlib import import_module
from importlib.util import find_spec
from pkgutil import resolve_name
import django
import django.core.handlers.asgi
from django.conf import settings
from tests.support.foreign_objects import changed, snapshot

settings.configure(**json.loads(sys.argv[1]))
from turbo_orm.apps import TurboOrmConfig
TurboOrmConfig.ready = lambda self: None
django.setup()

from turbo_orm import patch_django, unpatch_django
from turbo_orm.patches import private_api, registry
from turbo_orm.patches.patch import Replacement

for name in private_api.NAMES:
    # Those of GeoDjango need GDAL.
    if name.owner.startswith("django.contrib.gis"):
        continue
    if not name.is_optional or find_spec(name.owner.split(".")[0]):
        import_module(name.owner.partition(":")[0])

def places():
    "Return where something is changed by what is listed."
    return {
        (id(resolve_name(patch.owner)), patch.name)
        if isinstance(patch, Replacement)
        else (id(resolve_name(patch.signal)), "receivers")
        for group in registry.GROUPS
        for patch in group.installed
    }

def paths(found):
    return sorted(found.values())
"""


def in_project(code, **changes):
    return json.loads(run_python(NOT_READY + code, json.dumps({**SETTINGS, **changes})))


def test_what_is_listed_is_changed_and_nothing_else():
    code = """
before = snapshot()
registry.install()
of_app = changed(before, snapshot())
listed_for_app = places()
patch_django()
of_all = changed(before, snapshot())
print(json.dumps([
    paths({place: of_app.get(place, place) for place in of_app.keys() ^ listed_for_app}),
    paths({place: of_all.get(place, place) for place in of_all.keys() ^ places()}),
    len(of_app),
    len(of_all),
]))
"""
    of_app_alone, of_all_alone, of_app, of_all = in_project(code)
    assert of_app_alone == of_all_alone == []
    assert 10 < of_app <= of_all - 10


def test_it_is_undone_without_a_trace():
    code = """
before = snapshot()
registry.uninstall()
found = [paths(changed(before, snapshot()))]
for _ in range(2):
    registry.install()
    patch_django()
    registry.uninstall()
    found.append(paths(changed(before, snapshot())))
    assert not places()
registry.install()
installed = snapshot()
patch_django()
unpatch_django()
found.append(paths(changed(installed, snapshot())))
print(json.dumps(found))
"""
    assert in_project(code) == [[], [], [], []]


def test_it_is_installed_once():
    code = """
registry.install()
patch_django()
installed, listed = snapshot(), places()
registry.install()
patch_django()
print(json.dumps([paths(changed(installed, snapshot())), listed == places()]))
"""
    assert in_project(code) == [[], True]


def test_what_is_needed_and_gone_has_nothing_installed():
    code = """
from django.core.exceptions import ImproperlyConfigured
from django.db.models.query import RawQuerySet
from turbo_orm.patches import atomic_requests
from turbo_orm.patches.patch import Replacement

before = snapshot()
told = []

def attempt():
    try:
        registry.install()
    except ImproperlyConfigured as exc:
        told.append([str(exc), paths(changed(before, snapshot()))])

atomic_requests.GROUP._patches = lambda: [Replacement("django.core", "gone", "a test", 1)]
attempt()
private_api.NAMES = (private_api.PrivateName("django.db.models.query", "_gone", ("orm",)),)
attempt()
print(json.dumps(told))
"""
    (patch, unchanged), (name, unchanged_too) = in_project(code)
    assert patch.startswith("turbo-orm replaces django.core.gone (a test), which cannot be found")
    assert "has no django.db.models.query._gone, which turbo-orm needs" in name
    assert unchanged == unchanged_too == []


# A toolbar whose private names are others.
TOOLBAR = """
import logging
from debug_toolbar import utils
from debug_toolbar.panels import Panel
from debug_toolbar.panels.sql import SQLPanel

del SQLPanel.aenable_instrumentation, utils._stack_frames
records = []
handler = logging.Handler()
handler.emit = lambda record: records.append(record.getMessage())
logging.getLogger("turbo_orm").addHandler(handler)
inherited = hasattr(SQLPanel, "aenable_instrumentation")
for _ in range(2):
    registry.install()
    registry.uninstall()
print(json.dumps([inherited, records]))
"""


def test_an_optional_patch_that_cannot_be_made_is_warned_of_once():
    inherited, records = in_project(TOOLBAR)
    missing = ["debug_toolbar.utils._stack_frames"]
    if not inherited:
        missing.insert(0, "debug_toolbar.panels.sql.SQLPanel.aenable_instrumentation")
    assert [record.split(" in the installed version.")[0] for record in records] == [
        f"There is no {path}" for path in missing
    ]


# The mechanism


class Owner:
    @classmethod
    def method(cls):
        return "original"


class Derived(Owner):
    pass


def test_an_inherited_attribute_is_inherited_again():
    patch = Replacement(f"{__name__}:Derived", "method", "a test", wrap=lambda original: 1)
    undo = patch.install()
    assert (Derived.method, Owner.method()) == (1, "original")
    undo()
    assert "method" not in vars(Derived)


def test_a_descriptor_is_put_back():
    original = vars(Owner)["method"]
    patch = Replacement(f"{__name__}:Owner", "method", "a test", wrap=lambda original: [original])
    undo = patch.install()
    assert vars(Owner)["method"] == [original]
    undo()
    assert vars(Owner)["method"] is original


def test_a_group_that_cannot_be_installed_is_not():
    def patches():
        yield Replacement(f"{__name__}:Owner", "method", "a test", 1)
        raise LookupError

    original = vars(Owner)["method"]
    group = Group("a test", patches)
    with pytest.raises(LookupError):
        group.install()
    assert (vars(Owner)["method"], group.is_installed, group.installed) == (original, False, [])


def test_a_group_has_what_is_needed_later_installed_again():
    patches = [Replacement(f"{__name__}:Owner", "method", "a test", 1)]
    group = Group("a test", lambda: patches)
    group.install()
    patches.append(Replacement(f"{__name__}:Derived", "method", "a test", 2))
    group.install()
    assert (vars(Owner)["method"], vars(Derived)["method"], len(group.installed)) == (1, 2, 2)
    group.uninstall()
    assert (Owner.method(), Derived.method(), group.installed) == ("original", "original", [])


# Without the app

WITHOUT_THE_APP = [app for app in APPS if app != "turbo_orm"]

CALLS = """
    from django.contrib.contenttypes.models import ContentType
    from tests.library.models import Player
    from turbo_orm import async_atomic, async_connection, patch_django, run_sync
    from turbo_orm.backend.shared_connection import shared_connections

    # An attribute, as player.comments is, cannot await it.
    ContentType.objects.get_for_model(Player)
    player = Player.objects.create(name="alone")
    before = Player.objects.count(), player.skills.count()

    async def iterate(results):
        async for _ in results:
            pass

    async def enter(block):
        async with block:
            pass

    CALLS = [
        lambda: Player.objects.aget(pk=player.pk),
        lambda: Player.objects.filter(name="alone").alist(),
        lambda: Player.objects.filter(name="alone").acount(),
        lambda: Player.objects.acreate(name="new"),
        lambda: Player.objects.aget_or_create(name="new"),
        lambda: Player.objects.abulk_create([Player(name="new")]),
        lambda: Player.objects.filter(name="alone").aupdate(name="new"),
        lambda: Player.objects.filter(name="alone").adelete(),
        lambda: iterate(Player.objects.all()),
        lambda: iterate(Player.objects.aiterator()),
        lambda: iterate(Player.objects.raw("SELECT * FROM library_player")),
        lambda: player.skills.acreate(name="new"),
        lambda: player.skills.aclear(),
        lambda: player.skills.aset([]),
        lambda: player.comments.acreate(text="new"),
        lambda: player.comments.aclear(),
        lambda: enter(async_atomic()),
        lambda: enter(async_connection()),
        lambda: run_sync(Player.objects.count),
    ]
    SYNC_CALLS = [patch_django, shared_connections().__enter__]

    def told(call):
        try:
            found = call()
        except Exception as exc:
            return f"{type(exc).__name__}: {exc}"
        return repr(found)

    from tests.support.event_loop import only_the_event_loop
    def told_in_loop(call):
        with only_the_event_loop():
            return told(lambda: asyncio.run(call()))

    messages = [told_in_loop(call) for call in CALLS] + [told(call) for call in SYNC_CALLS]
    after = Player.objects.count(), player.skills.count()
"""


def test_async_methods_are_refused_without_the_app(scratch):
    code = CALLS + "    answer([sorted(set(messages)), len(messages), before == after])\n"
    messages, number, unchanged = run_in_project(code, INSTALLED_APPS=WITHOUT_THE_APP)
    assert messages == [
        "ImproperlyConfigured: turbo-orm is not installed in Django, so there is no async "
        'connection to use. Add "turbo_orm" to INSTALLED_APPS; in a script, call django.setup() '
        "first."
    ]
    assert (number, unchanged) == (21, True)


def test_sync_code_works_without_the_app(scratch):
    code = """
    from tests.library.models import Account
    from turbo_orm import explain_cache

    account = Account.objects.create(owner="alone", balance=1)
    account.entries.create(amount=3)
    Account.objects.filter(owner="alone").update(balance=2)
    answer([
        [a.balance for a in Account.objects.filter(owner="alone").prefetch_related("entries")],
        account.entries.values_list("amount", flat=True)[0],
        "turbo_orm" in str(explain_cache(Account.objects.filter(owner="alone"))),
    ])
    """
    assert run_in_project(code, INSTALLED_APPS=WITHOUT_THE_APP) == [[2], 3, True]


def test_it_works_when_it_is_installed_again(scratch):
    """With querysets, managers and statements of the time before."""
    code = """
    from django.db import connections
    from django_async_backend.db import async_connections
    from tests.library.models import Account, Player
    from turbo_orm.patches import registry

    account = Account.objects.create(owner="again")
    player = Player.objects.create(name="again")
    queryset = Account.objects.filter(owner="again")
    found = []

    async def work():
        found.append([await queryset.all().acount(), (await Account.objects.aget(pk=account.pk)).pk
                      == account.pk, await player.skills.acount()])
        await async_connections["default"].close()

    async def refused():
        for call in (queryset.all().acount, queryset.all().adelete, queryset.alist):
            try:
                await call()
            except Exception as exc:
                found.append(type(exc).__name__)

    asyncio.run(work())
    asyncio.run(work())
    registry.uninstall()
    asyncio.run(refused())
    found.append(Account.objects.count())
    registry.install()
    asyncio.run(work())
    connections.close_all()
    answer(found)
    """
    worked = [1, True, 0]
    expected = [worked, worked, *["ImproperlyConfigured"] * 3, 1, worked]
    assert run_in_project(code) == expected


# The list


def listed(**changes):
    code = """
    import io
    from django.core.management import call_command

    out = io.StringIO()
    call_command("turbo_orm", "patches", stdout=out, no_color=True)
    answer(out.getvalue())
    """
    return run_in_project(code, **changes)


def test_the_command_lists_what_is_patched():
    text = listed()
    assert "For models with an AsyncManager\n" in text
    assert (
        "  django.db.connections.__class__ is replaced by "
        "turbo_orm.backend.handler.BridgedConnectionHandler\n"
        "    async code and code on the bridge get the running task's async connection\n"
    ) in text
    assert "django.core.signals.setting_changed is received by turbo_orm.query_cache." in text
    assert "For django-debug-toolbar\n  nothing\n" in text
    assert (
        "  django.db.models.query.QuerySet._fetch_all is replaced by "
        "turbo_orm.patches.patch_django.hydrating\n"
    ) in text


def test_the_command_lists_what_the_setting_leaves_out():
    text = listed(TURBO_ORM={"PATCH_DJANGO": False})
    assert text.endswith("For all of Django (PATCH_DJANGO)\n  nothing\n")


def test_the_command_is_one_of_manage_py(tmp_path):
    code = """
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", "turbo_orm", "patches"])
    answer(None)
    """
    assert run_in_project(code) is None


def test_the_command_wants_a_subcommand():
    with pytest.raises(CommandError, match="SUBCOMMAND"):
        call_command("turbo_orm")


def test_each_patch_says_what_it_is_for():
    patches = [patch for group in registry.GROUPS for patch in group.installed]
    assert {type(patch) for patch in patches} == {Replacement, Receiver}
    for patch in patches:
        assert patch.source.startswith(("turbo_orm.", "types.")), patch
        assert len(patch.why) > 20, patch
