"""What is told of shapes is what happens."""

import datetime

import pytest
from django.db.models import F, Func, QuerySet
from django.db.models.query import ModelIterable
from django.db.models.signals import pre_delete
from django.utils import timezone

from tests.library.models import Account, Author, Book, Entry
from turbo_orm import AsyncQuerySet, explain_shape
from turbo_orm.query_cache.cache import shapes

pytestmark = pytest.mark.usefixtures("library")


class Titles(ModelIterable):
    pass


class Own(AsyncQuerySet):
    def filter(self, *args, **kwargs):
        return super().filter(*args, **kwargs)


class OwnCount(AsyncQuerySet):
    def count(self):
        return super().count()


class Reverse(Func):
    function = "REVERSE"


def books():
    return Book.objects.filter(pages__gte=100).order_by("pk")


@pytest.mark.parametrize(
    "terminal", ["alist", "aget", "afirst", "alast", "acount", "aexists", "adelete"]
)
def test_a_miss_becomes_a_hit(terminal, run):
    def make(amount):
        return Entry.objects.filter(amount=amount)

    async def ask(amount):
        try:
            await getattr(make(amount), terminal)()
        except Entry.DoesNotExist:
            assert terminal == "aget"

    shapes.clear()
    explanation = explain_shape(make(-1), terminal)
    assert (explanation.outcome, explanation.reason) == ("miss", "nothing has been learnt")
    run(lambda: ask(-1))
    explanation = explain_shape(make(-2), terminal)
    assert explanation.outcome == "hit"
    assert 'WHERE "library_entry"."amount" = %s' in explanation.sql
    assert str(explanation) == (f"library.Entry: {terminal}() is a hit\n  {explanation.sql}")


def of_its_query():
    queryset = books()
    assert queryset.query
    return queryset.filter(pk__gt=1)


def with_an_iterable_class():
    queryset = books()
    queryset._iterable_class = Titles
    return queryset


BYPASSED = {
    "an object of somebody's own": (
        lambda: books().filter(title=timezone),
        "filter() is given builtins.module",
    ),
    "a dict": (lambda: books().filter(title={}).order_by("pk"), "filter() is given builtins.dict"),
    "an expression of somebody's own": (
        lambda: books().annotate(x=Reverse(F("title"))),
        "annotate() is given tests.explain.test_query_cache.Reverse, which may do anything",
    ),
    "a long list": (
        lambda: books().filter(pk__in=range(3)),
        "filter() is given builtins.range",
    ),
    "its query": (of_its_query, "its query was asked for"),
    "a method that is no step": (
        lambda: books().select_for_update(),
        "its query was asked for",
    ),
    "a query": (lambda: AsyncQuerySet(Book, query=books().query), "it was made of a query"),
    "a method of its own": (lambda: Own(Book).all(), "Own overrides filter"),
    "an iterable class": (with_an_iterable_class, "its iterable class is Titles"),
}


@pytest.mark.parametrize("case", BYPASSED)
def test_bypasses(case):
    make, reason = BYPASSED[case]
    for _ in range(2):
        explanation = explain_shape(make())
        assert (explanation.outcome, explanation.reason) == ("bypass", reason)
    assert str(explanation) == f"library.Book: alist() is a bypass, since {reason}"


def test_a_terminal_of_its_own():
    assert explain_shape(OwnCount(Book), "acount").reason == "OwnCount overrides count"
    assert explain_shape(OwnCount(Book), "aexists").outcome != "bypass"


def test_results_that_are_there(run):
    run(books().alist)
    queryset = books()
    run(queryset.alist)
    assert explain_shape(queryset, "acount").reason == "the results are there already"
    assert explain_shape(queryset, "aget").reason == "nothing has been learnt"


def test_receivers_of_deletions():
    def receive(**kwargs):
        pass

    pre_delete.connect(receive, sender=Entry)
    try:
        explanation = explain_shape(Entry.objects.all(), "adelete")
    finally:
        pre_delete.disconnect(receive, sender=Entry)
    assert explanation.reason == "somebody receives pre_delete or post_delete"


def test_what_was_learnt(run):
    """Why there is no statement is what Django does."""
    shapes.clear()
    run(Account.objects.filter(owner="nobody").adelete)
    explanation = explain_shape(Account.objects.filter(owner="x"), "adelete")
    assert explanation.outcome == "bypass"
    assert "decides what Django does next" in explanation.reason


def test_values(run):
    shapes.clear()
    too_large, fitting = Book.objects.filter(pages=2**70), Book.objects.filter(pages=37)
    run(too_large.all().alist)
    explanation = explain_shape(fitting)
    assert explanation.reason == "nothing has been learnt from values with which there is one"
    run(fitting.all().alist)
    assert explain_shape(fitting).outcome == "hit"
    explanation = explain_shape(too_large)
    assert explanation.outcome == "bypass"
    assert explanation.reason == "one of the values has Django write another statement"


def test_another_time_zone(run):
    def make():
        return Book.objects.filter(published__date=datetime.date(2003, 4, 1))

    with timezone.override("Asia/Tokyo"):
        run(make().alist)
        run(make().alist)
        assert explain_shape(make()).outcome == "hit"
    with timezone.override("America/Lima"):
        explanation = explain_shape(make())
    assert explanation.outcome == "miss"
    assert explanation.reason == "what has been learnt is for the time zone Asia/Tokyo"


def test_many_rows(run, monkeypatch):
    monkeypatch.setattr("turbo_orm.execution.fetching.SLICE", 7)
    monkeypatch.setattr("turbo_orm.explain.query_cache.SLICE", 7)
    for _ in range(2):
        run(books().alist)
    assert (
        explain_shape(books()).reason == "more than 7 rows may come, and are read as they arrive"
    )


def test_nothing_is_done(run):
    shapes.clear()
    queryset = books()
    explain_shape(queryset)
    assert queryset._shape is not None
    assert queryset._result_cache is None
    assert queryset._shape.statements == {}


def test_what_is_not_told():
    with pytest.raises(TypeError, match="takes a queryset of an AsyncManager, not QuerySet"):
        explain_shape(QuerySet(Author))
    with pytest.raises(ValueError, match="not of 'aupdate'"):
        explain_shape(books(), "aupdate")
