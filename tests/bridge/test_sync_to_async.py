"""The thread hops of Django's async methods: which of them go on the bridge, without a setting."""

import asyncio
import inspect
import threading
from itertools import count
from pathlib import Path

import asgiref.sync
import django
import pytest
from django import VERSION
from django.db import models
from django.db.models import Manager, Model, Prefetch, QuerySet, aprefetch_related_objects
from django.http import Http404
from django.shortcuts import (
    aget_list_or_404,
    aget_object_or_404,
    get_list_or_404,
    get_object_or_404,
)
from django.test.utils import isolate_apps

from tests.library.models import (
    Account,
    Author,
    Book,
    Comment,
    Entry,
    Mentoring,
    Player,
    Skill,
    Team,
)
from tests.support.answers import fingerprint
from tests.support.givens import accounts_with_entries, teams
from tests.support.project import run_in_project, run_python
from turbo_orm import AsyncManager, async_atomic
from turbo_orm.bridge import sync_to_async

HOP = r"sync_to_async\(\) was called"

# Where Django hops, and what becomes of it: a module that a later Django adds is to be looked at.
REDIRECTED = {
    "contrib/contenttypes/fields.py",
    "db/models/base.py",
    "db/models/fields/related_descriptors.py",
    "db/models/query.py",
}
REDIRECTED_WHEN_PATCHED = {
    "contrib/auth/backends.py",
    "contrib/auth/decorators.py",
    "contrib/sessions/backends/base.py",
    "contrib/sessions/backends/db.py",
    "core/cache/backends/base.py",
    "core/paginator.py",
    "dispatch/dispatcher.py",
    "utils/deprecation.py",
}
LEFT_ALONE = {
    "contrib/auth/__init__.py": "hashes passwords",
    "contrib/auth/hashers.py": "hashes passwords",
    "contrib/auth/middleware.py": "calls a sync middleware, until 6.0",
    "contrib/staticfiles/handlers.py": "reads files",
    "core/handlers/asgi.py": "closes responses, writes files",
    "core/handlers/base.py": "calls sync views and middleware",
    "core/handlers/exception.py": "makes error pages",
    "http/response.py": "reads a sync iterator",
    "tasks/backends/base.py": "hands tasks to a queue",
    "tasks/base.py": "runs a task",
    "test/client.py": "ends requests",
    "utils/asyncio.py": "is a message",
}


def test_every_module_of_djangos_that_hops_was_looked_at():
    root = Path(django.__file__).parent
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if "sync_to_async" in path.read_text(encoding="utf-8")
    }
    assert found <= REDIRECTED | REDIRECTED_WHEN_PATCHED | LEFT_ALONE.keys()
    assert found >= REDIRECTED


# Instances


def is_async(method):
    return inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)


def test_no_async_method_of_an_instance_hops(scratch, run):
    asked = {
        "adelete": lambda account: account.adelete(),
        "arefresh_from_db": lambda account: account.arefresh_from_db(fields=["balance"]),
        "asave": lambda account: account.asave(update_fields=["owner"], force_update=True),
    }
    assert {name for name, _ in inspect.getmembers(Model, is_async)} == set(asked)

    async def ask():
        for name, call in asked.items():
            await call(await Account.objects.acreate(owner=name))
        return [account.owner async for account in Account.objects.order_by("owner")]

    assert run(ask) == ["arefresh_from_db", "asave"]


@pytest.mark.parametrize("name", ["adelete", "arefresh_from_db", "asave"])
def test_those_of_instances_without_an_async_manager_do(name, run):
    with pytest.raises(AssertionError, match=HOP):
        run(getattr(Mentoring(pk=1), name))


@isolate_apps("tests.library")
def test_a_method_of_ones_own_wins_and_reaches_the_bridge(scratch, run):
    class Saved(models.Model):
        owner = models.CharField(max_length=50)
        balance = models.IntegerField(default=0)
        objects = AsyncManager()

        class Meta:
            app_label = "library"
            db_table = "library_account"

        async def asave(self, *args, **kwargs):
            self.owner += "!"
            return await super().asave(*args, **kwargs)

    async def ask():
        await Saved(owner="Ada").asave()
        return await Account.objects.aget()

    assert run(ask).owner == "Ada!"


@isolate_apps("tests.library")
def test_any_of_the_managers_of_a_model_is_enough(scratch, run):
    class Managed(models.Model):
        owner = models.CharField(max_length=50)
        balance = models.IntegerField(default=0)
        plain = Manager()
        another = AsyncManager()

        class Meta:
            app_label = "library"
            db_table = "library_account"

    assert run(Managed(owner="Ada").asave) is None
    assert Account.objects.get().owner == "Ada"


# Related managers

RELATED = {
    "reverse foreign key": lambda: Account.objects.get(owner="Ada").entries,
    "nullable reverse foreign key": lambda: Team.objects.get(name="red").players,
    "many to many": lambda: Player.objects.get(name="player 2").skills,
    "many to many, reverse": lambda: Skill.objects.get(name="pass").players,
    "many to many, through": lambda: Player.objects.get(name="captain").mentors,
    "generic": lambda: Player.objects.get(name="player 1").comments,
}


NUMBERS = count(100)


def new(manager):
    """Return the values of an object that the manager can make, different ones each time."""
    number = next(NUMBERS)
    found = {Entry: {"amount": number}, Comment: {"text": f"new {number}"}}
    return found.get(manager.model, {"name": f"new {number}"})


# What Django defines on related managers, beside what they have from the queryset.
ASKED = {
    "aadd": lambda manager, obj: manager.aadd(obj),
    "aclear": lambda manager, obj: manager.aclear(),
    "acreate": lambda manager, obj: manager.acreate(**new(manager)),
    "aget_or_create": lambda manager, obj: manager.aget_or_create(**new(manager)),
    "aremove": lambda manager, obj: manager.aremove(obj),
    "aset": lambda manager, obj: manager.aset([obj]),
    "aupdate_or_create": lambda manager, obj: manager.aupdate_or_create(**new(manager)),
}


@pytest.mark.parametrize("case", RELATED)
def test_no_async_method_of_a_related_manager_hops(case, scratch, run):
    accounts_with_entries()
    teams()
    manager = RELATED[case]()
    own = [name for name in vars(type(manager)) if is_async(getattr(manager, name))]
    assert {"aadd", "acreate", "aget_or_create", "aset", "aupdate_or_create"} <= set(own)

    async def ask():
        for name in own:
            async with async_atomic():
                obj = await manager.afirst() or await manager.acreate(**new(manager))
                await ASKED[name](manager, obj)
        return await manager.acount()

    assert run(ask) == manager.count()


def test_those_of_related_managers_without_an_async_manager_do(run):
    with pytest.raises(AssertionError, match=HOP):
        run(lambda: Player(pk=1).mentoring.acreate(from_player=Player(pk=2)))


# Prefetching


def titles(authors):
    return [[book.title for book in author.books.all()] for author in authors]


PREFETCHED = {
    "instances with an AsyncManager": lambda: (list(Author.objects.all()), "books"),
    "in a tuple": lambda: (tuple(Author.objects.all()), "books"),
    "a queryset": lambda: (Author.objects.all(), "books"),
    "a queryset of Django's": lambda: (QuerySet(Author), "books"),
    "by a queryset": lambda: (
        list(QuerySet(Author)),
        Prefetch("books", Book.objects.filter(pages__gt=200)),
    ),
    "a set": lambda: (set(Author.objects.order_by("pk")), "books"),
    "what can be iterated": lambda: (Shelf(Author.objects.all()), "books"),
    "nothing": lambda: ([], "books"),
}


class Shelf:
    """Iterable, and nothing else."""

    def __init__(self, instances):
        self._instances = list(instances)

    def __iter__(self):
        return iter(self._instances)


@pytest.mark.parametrize("case", PREFETCHED)
def test_aprefetch_related_objects(case, library, run):
    def django():
        instances, *lookups = PREFETCHED[case]()
        models.prefetch_related_objects(instances, *lookups)
        return titles(instances)

    instances, *lookups = PREFETCHED[case]()

    async def ours():
        await aprefetch_related_objects(instances, *lookups)
        return titles(instances)

    # Django 5.2 wants what has an index.
    expected = outcome(django)
    assert outcome(lambda: run(ours)) == expected
    assert isinstance(expected, list) or VERSION < (6, 0)


def outcome(function):
    try:
        return function()
    except TypeError as exc:
        return str(exc)


def test_prefetching_for_an_iterator_fails_as_in_django(library, run):
    # What Django raises is StopIteration, which a coroutine cannot.
    with pytest.raises((StopIteration, TypeError)):
        models.prefetch_related_objects(iter(list(Author.objects.all())), "books")
    instances = iter(list(Author.objects.all()))
    with pytest.raises((RuntimeError, TypeError)):
        run(lambda: aprefetch_related_objects(instances, "books"))


def test_prefetching_by_an_async_queryset_for_other_instances(scratch, run):
    teams()
    instances = list(Mentoring.objects.all())

    async def ask(lookup):
        await aprefetch_related_objects(instances, lookup)
        return [mentoring.to_player.name for mentoring in instances]

    with pytest.raises(AssertionError, match=HOP):
        run(lambda: ask("to_player"))
    assert run(lambda: ask(Prefetch("to_player", Player.objects.all()))) == ["player 0"]


# Shortcuts


def test_the_shortcuts(library, run):
    thick = Book.objects.filter(pages__gt=300)
    assert run(lambda: aget_object_or_404(Author, name="Ada")) == get_object_or_404(
        Author, name="Ada"
    )
    expected = get_list_or_404(thick.order_by("pk"))
    assert fingerprint(run(lambda: aget_list_or_404(thick.order_by("pk")))) == fingerprint(
        expected
    )
    for missing in (aget_object_or_404, aget_list_or_404):
        with pytest.raises(Http404, match="Author"):
            run(lambda: missing(Author, name="nobody"))  # noqa: B023


# The function itself


@pytest.mark.parametrize("options", [{}, {"thread_sensitive": True}, {"thread_sensitive": False}])
@pytest.mark.parametrize("decorating", [True, False])
def test_what_leads_to_no_database_is_left_to_asgiref(options, decorating):
    async def ask():
        if decorating:
            hop = sync_to_async.sync_to_async(**options)(threading.get_ident)
        else:
            hop = sync_to_async.sync_to_async(threading.get_ident, **options)
        assert inspect.iscoroutinefunction(hop) or asgiref.sync.iscoroutinefunction(hop)
        return await hop()

    assert asyncio.run(ask()) != threading.get_ident()


def test_what_is_not_sensitive_to_its_thread_stays_in_one(scratch, run):
    """It is meant to run beside the event loop."""
    with pytest.raises(AssertionError, match=HOP):
        run(sync_to_async.sync_to_async(Account.objects.count, thread_sensitive=False))
    assert run(sync_to_async.sync_to_async(Account.objects.count, thread_sensitive=True)) == 0


@pytest.mark.parametrize("wrong", [1, Account.objects.all().acount])
def test_what_asgiref_refuses_is_refused(wrong):
    with pytest.raises(TypeError) as expected:
        asgiref.sync.sync_to_async(wrong)
    with pytest.raises(TypeError) as raised:
        sync_to_async.sync_to_async(wrong)
    assert str(raised.value) == str(expected.value)


def test_an_exception_is_passed_on(scratch, run):
    with pytest.raises(Account.DoesNotExist):
        run(Account(pk=-1).arefresh_from_db)


# The project


def test_it_can_be_imported_before_django_is_set_up():
    code = """
import turbo_orm.bridge.sync_to_async
from django.apps import apps
from django.conf import settings
assert not settings.configured
assert not apps.ready
print("fine")
"""
    assert run_python(code) == "fine\n"


RELATIONS = """
    from django.contrib.contenttypes.models import ContentType
    from django_async_backend.db import async_connections
    from tests.support.event_loop import only_the_event_loop
    from tests.library.models import Player
    from turbo_orm import async_atomic

    # An attribute, as player.comments is, cannot ask for it.
    ContentType.objects.get_for_model(Player)

    async def work():
        async with async_atomic():
            player = await Player.objects.acreate(name="alone")
            await player.asave()
            await player.skills.acreate(name="alone")
            await player.skills.aclear()
            comment = await player.comments.acreate(text="alone")
            await player.comments.aset([comment])
            found = [await player.comments.acount(), await player.skills.acount()]
            await player.comments.aclear()
            await player.arefresh_from_db()
            await player.adelete()
        await async_connections["default"].close()
        return found

    with only_the_event_loop():
        answer(asyncio.run(work()))
"""


@pytest.mark.parametrize("position", [0, -1])
def test_it_works_wherever_the_app_is(position, scratch):
    """Ready before contenttypes' fields were imported by another app, and after."""
    apps = ["django.contrib.contenttypes", "tests.plain", "tests.library"]
    apps.insert(position if position == 0 else len(apps), "turbo_orm")
    assert run_in_project(RELATIONS, INSTALLED_APPS=apps) == [1, 0]
