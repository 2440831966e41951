"""The explanation of the query cache is what happens."""

import datetime
import gc

import pytest
from django.db.models import F, Func, QuerySet
from django.db.models.query import ModelIterable
from django.db.models.signals import pre_delete
from django.test import override_settings
from django.utils import timezone

from tests.library.models import Account, Author, Book, Entry
from turbo_orm import AsyncQuerySet, cache_info, explain_cache, explain_shape
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.statistics import MAX_REASONS, OTHER_REASONS, CacheStatistics

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
    def as_sql(self, compiler, connection, **extra):
        return super().as_sql(compiler, connection, function="REVERSE", **extra)


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

    cache.clear()
    explanation = explain_cache(make(-1), terminal)
    assert (explanation.outcome, explanation.reason) == ("miss", "nothing has been traced")
    run(lambda: ask(-1))
    explanation = explain_cache(make(-2), terminal)
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
    "an object of a third party": (
        lambda: books().filter(title=timezone),
        "filter() is given builtins.module",
    ),
    "a dict in a list": (
        lambda: books().filter(title__in=[{}]).order_by("pk"),
        "filter() is given dict in a list",
    ),
    "an expression of a third party": (
        lambda: books().annotate(x=Reverse(F("title"))),
        "annotate() is given tests.explain.test_query_cache.Reverse, which has as_sql of its own: "
        "only attributes with plain values are certain",
    ),
    "a long list": (
        lambda: books().filter(pk__in=range(3)),
        "filter() is given builtins.range",
    ),
    "its query": (of_its_query, "its query was asked for"),
    "a method that is no step": (
        lambda: books().extra(where=["true"]),
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
        explanation = explain_cache(make())
        assert (explanation.outcome, explanation.reason) == ("bypass", reason)
    assert str(explanation) == f"library.Book: alist() is a bypass, since {reason}"


def test_a_terminal_of_its_own():
    assert explain_cache(OwnCount(Book), "acount").reason == "OwnCount overrides count"
    assert explain_cache(OwnCount(Book), "aexists").outcome != "bypass"


def test_results_that_are_there(run):
    run(books().alist)
    queryset = books()
    run(queryset.alist)
    assert explain_cache(queryset, "acount").reason == "the results are there already"
    assert explain_cache(queryset, "aget").reason == "nothing has been traced"


def test_receivers_of_deletions():
    def receive(**kwargs):
        pass

    pre_delete.connect(receive, sender=Entry)
    try:
        explanation = explain_cache(Entry.objects.all(), "adelete")
    finally:
        pre_delete.disconnect(receive, sender=Entry)
    assert explanation.reason == "pre_delete or post_delete has receivers"


def test_what_cannot_be_cached(run):
    """Why there is no statement is what Django does."""
    cache.clear()
    run(Account.objects.filter(owner="nobody").adelete)
    explanation = explain_cache(Account.objects.filter(owner="x"), "adelete")
    assert explanation.outcome == "bypass"
    assert "decide what Django does next" in explanation.reason


def test_values(run):
    cache.clear()
    too_large, fitting = Book.objects.filter(pages=2**70), Book.objects.filter(pages=37)
    run(too_large.all().alist)
    explanation = explain_cache(fitting)
    assert explanation.reason == "nothing has been traced from values that give a statement"
    run(fitting.all().alist)
    assert explain_cache(fitting).outcome == "hit"
    explanation = explain_cache(too_large)
    assert explanation.outcome == "bypass"
    assert explanation.reason == "one of the values has Django write another statement"


def test_another_time_zone(run):
    def make():
        return Book.objects.filter(published__date=datetime.date(2003, 4, 1))

    with timezone.override("Asia/Tokyo"):
        run(make().alist)
        run(make().alist)
        assert explain_cache(make()).outcome == "hit"
    with timezone.override("America/Lima"):
        explanation = explain_cache(make())
    assert explanation.outcome == "miss"
    assert explanation.reason == (
        "the statement that is cached was compiled in the time zone Asia/Tokyo"
    )


def test_nothing_is_done(run):
    cache.clear()
    queryset = books()
    explain_cache(queryset)
    assert queryset._cached is not None
    assert queryset._result_cache is None
    assert queryset._cached.entry.statements == {}


def test_what_is_not_explained():
    with pytest.raises(TypeError, match="takes a queryset of an AsyncManager, not QuerySet"):
        explain_cache(QuerySet(Author))
    with pytest.raises(ValueError, match="not 'aupdate'"):
        explain_cache(books(), "aupdate")


def test_the_former_name():
    cache.clear()
    with pytest.warns(DeprecationWarning, match=r"explain_shape\(\) is deprecated.*explain_cache"):
        explanation = explain_shape(books())
    assert explanation == explain_cache(books())


def test_nothing_is_counted(run):
    before = cache_info()
    explain_cache(books())
    explain_cache(Own(Book).all())
    after = cache_info()
    assert (after.hits, after.misses, after.bypasses) == (
        before.hits,
        before.misses,
        before.bypasses,
    )


def test_what_is_counted(run):
    # What clears it by itself is done with: classes of other tests, which are watched, are
    # modified by being collected, and Django forgets receivers of pre_init that were.
    gc.collect()
    for _ in range(3):
        run(books().alist)
    cache.clear()
    before = cache_info()
    for _ in range(3):
        run(books().alist)
    run(Own(Book).all().alist)
    after = cache_info()
    assert after.hits - before.hits == 2
    assert after.misses - before.misses == 1
    reason = "Own overrides filter"
    assert after.bypasses[reason] - before.bypasses.get(reason, 0) == 1
    assert (after.entries, after.max_entries) == (len(cache), cache.max_entries)
    assert (after.bytes, after.max_bytes) == (cache.bytes, cache.max_bytes)


def test_reasons_are_bounded():
    counted = CacheStatistics()
    for number in range(2 * MAX_REASONS):
        counted.count_bypass(f"reason {number}")
    assert counted.bypasses[OTHER_REASONS] == MAX_REASONS
    assert sum(counted.bypasses.values()) == 2 * MAX_REASONS


def test_the_statements_of_saves_take_memory(scratch, run):
    cache.clear()

    async def save():
        account = await Account.objects.acreate(owner="A", balance=1)
        sizes = [cache_info().bytes]
        await account.asave()
        sizes.append(cache_info().bytes)
        await account.asave(update_fields=["balance"])
        sizes.append(cache_info().bytes)
        await account.asave()
        assert cache_info().bytes == sizes[-1]
        return sizes

    sizes = run(save)
    assert sizes == sorted({*sizes})
    assert cache.bytes == sum(entry.size for entry in cache)


@pytest.mark.parametrize("terminal", ["alist", "aget"])
def test_it_can_be_switched_off(terminal, run):
    with override_settings(TURBO_ORM={"QUERY_CACHE": False}):
        queryset = Book.objects.filter(pages=37)
        run(getattr(queryset.all(), terminal))
        explanation = explain_cache(queryset, terminal)
        assert (explanation.outcome, explanation.reason) == ("bypass", "the query cache is off")
        assert cache_info().entries == 0
    assert explain_cache(Book.objects.filter(pages=37), terminal).outcome == "miss"


def test_it_can_be_bounded(run):
    with override_settings(TURBO_ORM={"QUERY_CACHE_ENTRIES": 3, "QUERY_CACHE_BYTES": 20_000}):
        for name in ("pk", "title", "pages", "author"):
            run(Book.objects.order_by(name).alist)
        info = cache_info()
        assert (info.max_entries, info.max_bytes) == (3, 20_000)
        assert info.entries <= 3
        assert info.bytes <= 20_000
    assert cache_info().max_entries == 5_000
