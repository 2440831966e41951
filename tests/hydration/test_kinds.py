"""Models and fields with something of their own: what Django calls is called, and in its order."""

import copy
import pickle
from contextlib import contextmanager

import pytest
from django.core import serializers
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Concat
from django.db.models.signals import post_init, pre_init

from tests.library.kinds import (
    OF_THEIR_OWN,
    BracketedReversed,
    Converting,
    Keyed,
    KeyField,
    Lock,
    WithClassAttributes,
    WithFromDbBelow,
    WithOnce,
    WithRefresh,
)
from tests.library.lineage import Building, Cottage, Inn, Palace, QuietPalace, Tour
from tests.library.models import Account, Author, Book, Profile
from tests.support.answers import django_answer, sync_answer, turbo_answer
from turbo_orm import bridge

CONVERTS = Value("abc", output_field=BracketedReversed())

CONVERTING = {
    "instances": lambda: Converting.objects.all(),
    "dicts": lambda: Converting.objects.values(),
    "tuples": lambda: Converting.objects.values_list(),
    "two methods": lambda: Converting.objects.values_list("both", flat=True),
    "several converters": lambda: Converting.objects.values_list("traced", flat=True),
    "a value for NULL": lambda: Converting.objects.values_list("nameless", flat=True),
    "an expression": lambda: Converting.objects.annotate(
        again=F("traced"), none=Coalesce("both", Value("xyz"), output_field=BracketedReversed())
    ),
    "a filter": lambda: Converting.objects.filter(colour=2).values("colour", "secret"),
    "deferred": lambda: Converting.objects.defer("traced", "both"),
    "combined": lambda: (
        Converting.objects.values_list("colour", "both")
        .union(Converting.objects.filter(pk=-1).values_list("colour", "both"))
        .order_by("colour")
    ),
}


@pytest.mark.parametrize("case", CONVERTING)
def test_a_field_that_converts(case, read):
    read(lambda: CONVERTING[case]() if case == "combined" else CONVERTING[case]().order_by("pk"))


KEYS = {
    "instances": lambda: Keyed.objects.order_by("name"),
    "related": lambda: Lock.objects.select_related("keyed").order_by("pk"),
    "related, nothing but the key": lambda: (
        Lock.objects.select_related("keyed").only("keyed__key").order_by("pk")
    ),
    "dicts": lambda: Lock.objects.order_by("pk").values("keyed", "keyed__key", "keyed__name"),
    "prefetched": lambda: Keyed.objects.order_by("name").prefetch_related("locks"),
}


@pytest.mark.parametrize("case", KEYS)
def test_a_key_that_converts(case, read):
    """Whether there is a related instance is a matter of the key as it is after conversion."""
    read(KEYS[case])


@pytest.mark.parametrize("model", OF_THEIR_OWN, ids=lambda model: model.__name__)
@pytest.mark.parametrize(
    "change",
    [
        lambda queryset: queryset,
        lambda queryset: queryset.only("pk"),
        lambda queryset: queryset.annotate(extra=Concat("name", Value("!"))),
        lambda queryset: queryset.annotate(extra=Value(1)).values("name", "extra"),
    ],
    ids=["whole", "deferred", "annotated", "dicts"],
)
def test_a_model_of_its_own(change, model, read):
    read(lambda: change(model.objects.order_by("pk")))


FROM_DB = {
    "forward": lambda: WithFromDbBelow.objects.select_related("parent"),
    "forward with a converter": lambda: WithFromDbBelow.objects.select_related("parent").annotate(
        x=CONVERTS
    ),
    "forward deferred": lambda: (
        WithFromDbBelow.objects.select_related("parent").only("parent__name").annotate(x=CONVERTS)
    ),
    "a child": lambda: Cottage.objects.all(),
    "a child deferred": lambda: Cottage.objects.only("hearths"),
    "from a parent": lambda: Building.objects.select_related("cottage"),
    "from a parent without a converter": lambda: Building.objects.select_related("cottage").only(
        "name", "cottage__hearths"
    ),
    "from a parent that is related": lambda: Tour.objects.select_related("building__cottage"),
}


@pytest.mark.parametrize("case", FROM_DB)
def test_what_from_db_is_called_with(case, read):
    read(lambda: FROM_DB[case]().order_by("pk"))


STRICT = {
    "a row": lambda: Lock.objects.select_related("strict").filter(strict=1),
    "no row, but the key alone": lambda: (
        Lock.objects.select_related("strict").only("strict__id").order_by("pk")
    ),
}


@pytest.mark.parametrize("case", STRICT)
def test_a_converter_that_does_not_expect_null(case, read):
    read(STRICT[case])


# Receivers


@contextmanager
def receiving(signal, *senders):
    """Have instances tell what a receiver of a signal was sent."""

    def receive(sender, instance=None, args=(), kwargs=None, **others):
        target = instance if instance is not None else sender
        told.append((sender.__name__, len(args), kwargs, sorted(others)))
        if instance is not None:
            target.received = sorted(target.__dict__)

    told = []
    for sender in senders:
        signal.connect(receive, sender=sender)
    try:
        yield told
    finally:
        for sender in senders:
            signal.disconnect(receive, sender=sender)


RECEIVING = {
    "instances": (lambda: Author.objects.all(), Author),
    "deferred": (lambda: Author.objects.only("name"), Author),
    "related": (lambda: Book.objects.select_related("author").order_by("pk"), Author),
    "from a related one": (
        lambda: Profile.objects.select_related("author").order_by("pk"),
        Profile,
    ),
    "a parent": (lambda: Inn.objects.order_by("pk"), Building),
    "a child": (lambda: Building.objects.select_related("inn").order_by("pk"), Inn),
    "a proxy": (lambda: QuietPalace.objects.order_by("pk"), QuietPalace),
    "what a proxy stands for": (lambda: QuietPalace.objects.order_by("pk"), Palace),
    "everybody": (lambda: Book.objects.select_related("author").order_by("pk"), None),
}


@pytest.mark.parametrize("signal", [pre_init, post_init], ids=["pre_init", "post_init"])
@pytest.mark.parametrize("case", RECEIVING)
def test_receivers(case, signal, read):
    make, sender = RECEIVING[case]
    with receiving(signal, sender) as told:
        expected = django_answer(lambda: list(make()))
        told_by_django = told.copy()
        told.clear()
        assert sync_answer(lambda: list(make())) == expected
        assert told == told_by_django
        read(make)
    if case not in {"a parent", "what a proxy stands for"}:
        assert told


def test_a_receiver_that_raises(read):
    def refuse(instance, **kwargs):
        if instance.pk == 2:
            raise LookupError(f"Not {instance.name}.")

    post_init.connect(refuse, sender=Author)
    try:
        read(lambda: Author.objects.order_by("pk"), raises=LookupError)
        read(lambda: Book.objects.select_related("author").order_by("pk"), raises=LookupError)
    finally:
        post_init.disconnect(refuse, sender=Author)


def test_an_annotation_that_cannot_be_set(read):
    read(lambda: WithClassAttributes.objects.annotate(fixed=Value(1)), raises=AttributeError)


# What is done with instances


def afterwards(queryset, work):
    """Return what comes of work with instances, and its statements."""

    def answer():
        instances = list(queryset.all())
        return [work(instance) for instance in instances], instances

    return answer


WORKS = {
    "a deferred field": (WithRefresh.objects.only("pk"), lambda instance: instance.name),
    "deferred fields": (Building.objects.only("pk"), lambda b: (b.facts, b.get_deferred_fields())),
    "a deferred field of a parent": (
        Inn.objects.only("rooms"),
        lambda inn: (inn.name, inn.region),
    ),
    "a cached property": (
        WithClassAttributes.objects.all(),
        lambda w: (w.loud, "loud" in vars(w)),
    ),
    "a copy": (Author.objects.defer("born"), copy.deepcopy),
    "a pickle": (Author.objects.defer("born"), lambda a: pickle.loads(pickle.dumps(a))),
    "equality": (Author.objects.all(), lambda a: (hash(a), a == Author(pk=a.pk), str(a))),
    "refresh_from_db": (WithRefresh.objects.all(), lambda w: w.refresh_from_db(fields=["name"])),
    "a descriptor": (WithOnce.objects.all(), lambda once: once.name),
    "a related instance": (Book.objects.order_by("pk"), lambda book: book.author.name),
    "a related one of a related": (
        Book.objects.select_related("author").order_by("pk"),
        lambda book: getattr(book.author, "profile", None),
    ),
    "none": (Author.objects.all(), lambda author: hasattr(author, "profile")),
    "validation": (
        Book.objects.order_by("pk"),
        lambda book: book.clean_fields(exclude=["title", "translator", "published", "pages"]),
    ),
    "serialisation": (Book.objects.order_by("pk"), lambda b: serializers.serialize("json", [b])),
}


@pytest.mark.parametrize("case", WORKS)
def test_work_with_instances(case, library):
    queryset, work = WORKS[case]
    answer = sync_answer(afterwards(queryset, work))
    assert answer == django_answer(afterwards(queryset, work))
    assert "returned" in answer


@pytest.mark.parametrize("case", WORKS)
def test_work_with_instances_on_the_bridge(case, library, run):
    queryset, work = WORKS[case]
    answer = run(lambda: turbo_answer(lambda: bridge.run(afterwards(queryset, work))))
    assert answer == django_answer(afterwards(queryset, work))


def test_saving_what_was_deferred_writes_what_was_read(play):
    async def steps(orm):
        (account,) = await orm.list(Account.objects.only("balance"))
        account.balance += 1
        await orm.call(account, "save")
        return account

    play(steps, given=lambda: Account.objects.create(owner="Ada", balance=1))


def test_a_converter_that_does_not_expect_null_where_there_is_no_row(read):
    read(lambda: Lock.objects.select_related("strict").order_by("pk"), raises=AttributeError)


def test_the_converter_of_a_related_key_runs_once_for_a_row(library, monkeypatch):
    calls = []
    convert = KeyField.from_db_value

    def counted(self, value, expression, connection):
        calls.append(value)
        return convert(self, value, expression, connection)

    monkeypatch.setattr(KeyField, "from_db_value", counted)
    locks = Lock.objects.select_related("keyed").order_by("pk")
    expected = django_answer(lambda: list(locks.all()))
    asked, calls[:] = calls[:], []
    assert sync_answer(lambda: list(locks.all())) == expected
    assert calls == asked
