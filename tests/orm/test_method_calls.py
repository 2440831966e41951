"""Each method that is listed is called: by whom rows are made, and where it is refused."""

import copy
import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from unittest import mock

import django
import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DJANGO_VERSION_PICKLE_KEY, connections, models
from django.db.models import Count, F, Model, Q, QuerySet

from tests.library.models import Captain, Comment, Entry, Event, Player, Team
from tests.library.options import Booking, Poem, Stanza
from tests.support.givens import teams
from tests.support.methods import BRIDGE, NATIVE, PLAIN, QUERYSET, TABLES
from tests.support.tables import empty
from turbo_orm import AsyncManager, AsyncQuerySet, AsyncRawQuerySet
from turbo_orm.hydration.hydrator import Hydrator
from turbo_orm.hydration.plan_cache import CachedPlan

# Whose methods they are


class Subject:
    """A queryset or manager, with what is needed to call its methods."""

    def __init__(self, owner, field="name", one="player 3", instances=()):
        self.owner = owner
        self.model = owner.model
        self.field = field
        self.one = {field: one}
        #: Those that have such a related manager.
        self.instances = list(instances)
        self.existing = self.model.objects.get(**self.one)

    def new(self):
        new = self.model(**{self.field: "new"})
        if self.model is Comment:
            new.content_type_id = self.existing.content_type_id
            new.object_id = self.existing.object_id
        return new


def events():
    for name in ["event 1", "event 2", "player 3"]:
        Event.objects.create(name=name)


def red():
    return Team.objects.get(name="red")


def player(number):
    return Player.objects.get(name=f"player {number}")


# What is given, and the subject
SUBJECTS = {
    "QuerySet": (events, lambda: Subject(Event.objects.all())),
    "RawQuerySet": (events, lambda: Subject(Event.objects.raw("SELECT * FROM library_event"))),
    "Manager": (events, lambda: Subject(copy.copy(Event.objects))),
    "Reverse foreign key": (teams, lambda: Subject(red().players, instances=[red()])),
    "Many to many": (
        teams,
        lambda: Subject(player(3).skills, one="run", instances=[player(3)]),
    ),
    "Generic relation": (
        teams,
        lambda: Subject(player(1).comments, "text", "on 1", instances=[player(1)]),
    ),
}


class Holder(Model):
    class Meta:
        app_label = "library"
        abstract = True


# Arguments, where there have to be any
ARGUMENTS = {
    "__and__": lambda subject: [subject.owner.all()],
    "__call__": lambda subject: {"manager": "objects"},
    "__deepcopy__": lambda subject: [{}],
    "__getitem__": lambda subject: [0],
    "__or__": lambda subject: [subject.owner.all()],
    "__setstate__": lambda subject: [{DJANGO_VERSION_PICKLE_KEY: django.__version__}],
    "__xor__": lambda subject: [subject.owner.all()],
    "add": lambda subject: [subject.existing],
    "aggregate": lambda subject: [Count("pk")],
    "bulk_create": lambda subject: [[subject.new()]],
    "bulk_update": lambda subject: [[subject.existing], [subject.field]],
    "complex_filter": lambda subject: [Q(pk=1)],
    "contains": lambda subject: [subject.existing],
    "contribute_to_class": lambda subject: [Holder, "things"],
    "create": lambda subject: {subject.field: "new"},
    "dates": lambda subject: ["created", "year"],
    "datetimes": lambda subject: ["created", "hour"],
    "db_manager": lambda subject: ["default"],
    "difference": lambda subject: [subject.owner.all()],
    "earliest": lambda subject: ["pk"],
    "fetch_mode": lambda subject: [models.FETCH_ONE],
    "from_queryset": lambda subject: [AsyncQuerySet],
    "get": lambda subject: subject.one,
    "get_or_create": lambda subject: subject.one,
    "get_prefetch_queryset": lambda subject: [subject.instances],
    "get_prefetch_querysets": lambda subject: [subject.instances],
    "in_bulk": lambda subject: [[subject.existing.pk]],
    "intersection": lambda subject: [subject.owner.all()],
    "latest": lambda subject: ["pk"],
    "raw": lambda subject: ["SELECT 1"],
    "remove": lambda subject: [subject.existing],
    "resolve_expression": lambda subject: [Event.objects.all().query],
    "select_related": lambda subject: [None],
    "set": lambda subject: [[subject.existing]],
    "set_base": lambda subject: [[subject.existing]],
    "union": lambda subject: [subject.owner.all()],
    "update": lambda subject: {subject.field: F(subject.field)},
    "update_or_create": lambda subject: {**subject.one, "defaults": subject.one},
    "using": lambda subject: ["default"],
}


def asked(subject, name, form=None):
    """Call a method in one of its forms; a property is looked at."""
    method = getattr(subject.owner, form or name)
    arguments = ARGUMENTS[name](subject) if name in ARGUMENTS else []
    if not callable(method) or isinstance(method, QuerySet):
        return method
    return method(**arguments) if isinstance(arguments, dict) else method(*arguments)


# Instances

VALID = {"code": "c", "team_id": 1, "room": 1, "title": "t"}


def team_of_booking():
    Team.objects.create(name="red")


def poem():
    for text in ["first", "second", "third"]:
        Stanza.objects.create(poem=Poem.objects.get_or_create(title="poem")[0], text=text)


def event():
    return Event.objects.get(name="event 2")


def stanza():
    return Stanza.objects.get(text="second")


# What is given, the instance, and the call
OF_INSTANCES = {
    "save": (events, event, "save", []),
    "delete": (events, event, "delete", []),
    "refresh_from_db": (events, event, "refresh_from_db", []),
    "save_base": (events, event, "save_base", []),
    "full_clean": (team_of_booking, lambda: Booking(**VALID), "full_clean", []),
    "clean_fields": (team_of_booking, lambda: Booking(**VALID), "clean_fields", []),
    "validate_unique": (team_of_booking, lambda: Booking(**VALID), "validate_unique", []),
    "validate_constraints": (
        team_of_booking,
        lambda: Booking(**VALID),
        "validate_constraints",
        [],
    ),
    "get_next_by_FOO": (events, event, "get_next_by_created", []),
    "get_previous_by_FOO": (events, event, "get_previous_by_created", []),
    "get_next_in_order": (poem, stanza, "get_next_in_order", []),
    "get_previous_in_order": (poem, stanza, "get_previous_in_order", []),
    "set_RELATED_order": (poem, lambda: Poem.objects.get(), "set_stanza_order", [[2, 1]]),
    "get_RELATED_order": (poem, lambda: Poem.objects.get(), "get_stanza_order", []),
    "pk": (events, event, "pk", []),
    "clean": (events, event, "clean", []),
    "get_FOO_display": (team_of_booking, lambda: Booking(**VALID), "get_room_display", []),
    "get_deferred_fields": (events, event, "get_deferred_fields", []),
    "serializable_value": (events, event, "serializable_value", ["name"]),
    "from_db": (events, event, "from_db", ["default", ["id"], [1]]),
    "check": (events, event, "check", []),
    "get_constraints": (events, event, "get_constraints", []),
    "unique_error_message": (events, event, "unique_error_message", [Event, ("name",)]),
    "date_error_message": (events, event, "date_error_message", ["date", "name", "created"]),
    "prepare_database_save": (
        events,
        event,
        "prepare_database_save",
        [Entry._meta.get_field("account")],
    ),
    # Attributes
    "foreign key": (teams, lambda: player(3), "team", []),
    "one-to-one relation": (teams, lambda: Player.objects.get(name="captain"), "captain", []),
    "deferred field": (teams, lambda: Player.objects.only("name").first(), "rank", []),
    "generic foreign key": (teams, lambda: Comment.objects.get(text="on 1"), "target", []),
}


# The calls


def subject_of(title, name):
    """Return a function that makes the subject, and one that calls the method on it."""
    if name in OF_INSTANCES and title not in SUBJECTS:
        given, make, attribute, arguments = OF_INSTANCES[name]

        def call(instance, form=None):
            member = getattr(instance, form or attribute)
            return member(*arguments) if callable(member) else member

    else:
        given, make = SUBJECTS[title]

        def call(subject, form=None):
            return asked(subject, name, form)

    empty("default")
    given()
    ContentType.objects.get_for_models(Player, Captain, Team)
    return make(), call


@contextmanager
def watched():
    """Record the objects that the core makes."""
    made = []
    with (
        mock.patch.multiple(
            Hydrator, result=recording(Hydrator.result, made), rows=recording(Hydrator.rows, made)
        ),
        mock.patch.object(CachedPlan, "hydrate", recording(CachedPlan.hydrate, made)),
    ):
        yield made


def recording(method, made):
    def record(self, *args):
        objects = method(self, *args)
        made.extend(objects)
        return objects

    return record


def rows_in(result):
    if isinstance(result, Model):
        yield result
    elif isinstance(result, dict):
        yield from rows_in(list(result.values()))
    elif isinstance(result, list | tuple):
        for item in result:
            yield from rows_in(item)


def check_who_made(result, made, how):
    """Check that the rows in a result are the core's, or that none is."""
    by_core = {id(row) for row in made}
    rows = list(rows_in(result))
    if "native" in how:
        assert made
        assert all(id(row) in by_core for row in rows)
        assert rows or how != NATIVE
    else:
        assert not any(id(row) in by_core for row in rows)


def listed(*kinds, unless=()):
    """Return those of some kinds that are there. What managers have is called on all of them."""
    of_querysets = [method for method in QUERYSET if method.on_managers and method.how != PLAIN]
    found = []
    for title, methods in TABLES.items():
        overridden = {method.name for method in methods}
        inherited = [method for method in of_querysets if method.name not in overridden]
        on_managers = title in SUBJECTS and title not in {"QuerySet", "RawQuerySet"}
        found += [(title, it) for it in [*methods, *(inherited if on_managers else [])]]
    return pytest.mark.parametrize(
        ("title", "method"),
        [
            pytest.param(title, method, id=f"{title}-{method.name}")
            for title, method in found
            if any(kind in method.how for kind in kinds)
            and not any(u in method.how for u in unless)
            if method.since <= django.VERSION[:2] < method.until
        ],
    )


pytestmark = [
    pytest.mark.usefixtures("tables"),
    pytest.mark.filterwarnings("ignore:get_prefetch_queryset"),
]


@listed("native", "bridge", "refused")
def test_in_sync_code_the_rows_of_what_is_native_are_made_by_the_core(title, method):
    subject, call = subject_of(title, method.name)
    with watched() as made:
        result = call(subject)
        result = list(result) if isinstance(result, Iterator) else result
    check_who_made(result, made, method.how)


@listed(NATIVE, BRIDGE, unless=["refused"])
def test_in_a_coroutine_they_are_too_and_there_is_no_thread(title, method, run):
    for form in method.awaited.split():
        subject, call = subject_of(title, method.name)

        async def ask(call=call, subject=subject, form=form):
            if form == "__aiter__":
                return [row async for row in subject.owner]
            answer = call(subject, form)
            return [row async for row in answer] if inspect.isasyncgen(answer) else await answer

        with watched() as made:
            result = run(ask)
        check_who_made(result, made, method.how)


@listed("native", "bridge", "refused")
def test_what_queries_is_refused_in_the_event_loop(title, method, run):
    subject, call = subject_of(title, method.name)
    connections.close_all()

    async def ask():
        result = call(subject)
        return list(result) if isinstance(result, Iterable) else result

    with pytest.raises(SynchronousOnlyOperation):
        run(ask)


@listed(PLAIN)
def test_what_is_plain_sends_no_query(title, method, run):
    subject, call = subject_of(title, method.name)

    async def ask():
        result = call(subject)
        if isinstance(result, QuerySet):
            assert result._result_cache is None
        return result

    result = run(ask)
    if title in {"QuerySet", "Manager"} and isinstance(result, QuerySet):
        assert isinstance(result, AsyncQuerySet)
    assert not isinstance(result, models.query.RawQuerySet) or isinstance(result, AsyncRawQuerySet)
    assert not isinstance(result, models.Manager) or isinstance(result, AsyncManager)


def test_every_method_of_an_instance_is_called():
    named = {method.name for title in set(TABLES) - set(SUBJECTS) for method in TABLES[title]}
    assert named == set(OF_INSTANCES)
