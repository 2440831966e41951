"""``aggregate()`` by a cached statement: Django's dict, with its names and converters."""

import gc
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.apps import apps
from django.contrib.postgres.aggregates import ArrayAgg, BoolOr, JSONBAgg
from django.db import router
from django.db.models import (
    Avg,
    Case,
    CharField,
    Count,
    F,
    FloatField,
    Max,
    Min,
    Model,
    Q,
    QuerySet,
    StdDev,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, TruncMonth
from django.utils import timezone

from tests.library.fields import Language, Speaker
from tests.library.models import Account, Author, Book, Converted, Entry, Order, Sample, Tag
from tests.support.answers import django_answer, turbo_answer
from tests.support.counting import counted, python_calls
from tests.support.routers import Router, routed
from turbo_orm import AsyncManager, AsyncQuerySet, bridge, cache_info, explain_cache
from turbo_orm.query_cache import tracing
from turbo_orm.query_cache.cache import cache

pytestmark = pytest.mark.usefixtures("library", "empty_cache")


@pytest.fixture(scope="module", autouse=True)
def no_dead_receivers():
    """Models that nothing refers to any more empty the cache when their receivers die."""
    gc.collect()


BOOKS = Book.objects.all


# Each is asked with several values: a queryset, and the expressions of ``aggregate()``.
CASES = {
    "sum and count": lambda n: (
        Book.objects.filter(pages__gt=n),
        [Sum("pages")],
        {"n": Count("*")},
    ),
    "all rows": lambda n: (BOOKS(), [Max("pages"), Min("published")], {}),
    "names": lambda n: (BOOKS(), [Avg("author__pk")], {"pages": Sum("pages"), "pk": Max("pk")}),
    "no rows": lambda n: (Book.objects.filter(title=f"no {n}"), [Sum("pages"), Count("pk")], {}),
    "defaults": lambda n: (
        Book.objects.filter(title=f"no {n}"),
        [],
        {"a": Sum("pages", default=n), "b": Max("title", default=Value("none"))},
    ),
    "a filter": lambda n: (BOOKS(), [], {"n": Count("pk", filter=Q(pages__gt=100 * n))}),
    "a filter by text": lambda n: (
        BOOKS(),
        [],
        {"n": Count("pk", filter=Q(title__icontains=str(n)) & ~Q(title__endswith="9"))},
    ),
    "a filter by a list": lambda n: (
        BOOKS(),
        [],
        {"n": Count("pk", filter=Q(pages__in=[37, 37 * n, 74][: n % 3 + 1]))},
    ),
    "a filter by an instance": lambda n: (
        BOOKS(),
        [],
        {"n": Count("pk", filter=Q(author=Author(pk=n)))},
    ),
    "a filter over a relation": lambda n: (
        Author.objects.all(),
        [],
        {"n": Count("books", filter=Q(books__tags__label=f"tag-{n}"), distinct=True)},
    ),
    "constants": lambda n: (BOOKS(), [], {"a": Sum(F("pages") * n), "b": Max(F("pk") + 3)}),
    "equal constants": lambda n: (
        Book.objects.annotate(x=F("pages") + n),
        [],
        {"a": Sum(F("x") + 2), "b": Sum(F("pages") + n)},
    ),
    "a case": lambda n: (
        BOOKS(),
        [],
        {"a": Sum(Case(When(pages__gte=50 * n, then=Value(1)), default=Value(0)))},
    ),
    "an expression of aggregates": lambda n: (
        BOOKS(),
        [],
        {"a": Sum("pages") * 1.0 / Count("pk"), "b": Coalesce(Avg("pages"), float(n))},
    ),
    "aggregates of aggregates": lambda n: (
        Author.objects.annotate(n=Count("books")).filter(n__gte=n),
        [Avg("n")],
        {"most": Max("n"), "pk": Sum("pk")},
    ),
    "one that refers to another": lambda n: (
        BOOKS(),
        [],
        {"most": Max("pages"), "more": F("most") + n},
    ),
    "an aggregate of it": lambda n: (BOOKS(), [], {"most": Max("pages"), "x": Sum(F("most"))}),
    "sliced": lambda n: (Book.objects.order_by("pk")[n : n + 5], [Sum("pages"), Count("pk")], {}),
    "sliced, with constants": lambda n: (
        Book.objects.filter(pk__gt=n).order_by("pk")[n : n + 5],
        [],
        {"a": Sum(F("pages") * n), "n": Count("pk", filter=Q(title__contains=str(n)))},
    ),
    "distinct": lambda n: (Book.objects.filter(pk__gt=n).distinct(), [Sum("pages")], {}),
    "distinct values": lambda n: (
        Book.objects.filter(pk__gt=n).values("author").distinct(),
        [Count("author")],
        {},
    ),
    "distinct fields": lambda n: (Book.objects.distinct("author"), [Count("pk")], {}),
    "grouped": lambda n: (
        Book.objects.filter(pk__gt=n).values("author").annotate(x=Sum("pages")),
        [],
        {"most": Max("x"), "mean": Avg("x")},
    ),
    "values": lambda n: (Book.objects.filter(pk__gt=n).values_list("pk"), [Sum("pages")], {}),
    "ordered and related": lambda n: (
        Book.objects.select_related("author").order_by("author__name").filter(pk__gt=n),
        [Sum("pages")],
        {},
    ),
    "deferred": lambda n: (Book.objects.only("title").filter(pk__gt=n), [Sum("pages")], {}),
    "by month": lambda n: (
        Book.objects.annotate(month=TruncMonth("published")),
        [],
        {"n": Count("month", distinct=True), "last": Max("month")},
    ),
    "of a related manager": lambda n: (Author(pk=n).books, [Sum("pages"), Count("tags")], {}),
    "types": lambda n: (
        Sample.objects.filter(pk__gt=n),
        [Sum("span"), Max("moment"), Avg("amount"), Max("date"), Min("time"), Avg("real")],
        {"flag": BoolOr("flag"), "deviation": StdDev("integer"), "sum": Sum("real")},
    ),
    "Decimals": lambda n: (
        Sample.objects.all(),
        [],
        {
            "a": Sum("amount", default=Decimal(n)),
            "b": Avg("integer", output_field=FloatField()),
            "c": Max("amount", filter=Q(amount__lt=Decimal(n))),
        },
    ),
    "dates and durations": lambda n: (
        Sample.objects.all(),
        [],
        {
            "a": Max("date", default=date(2001, 1, n)),
            "b": Count("pk", filter=Q(span__gt=timedelta(seconds=n))),
        },
    ),
    "arrays and JSON": lambda n: (
        Author.objects.filter(pk__gt=n),
        [],
        {"a": ArrayAgg("born", order_by="pk"), "b": JSONBAgg("name", order_by="-name")},
    ),
    "a field that converts": lambda n: (Converted.objects.all(), [Max("shout")], {}),
    "a field that queries for it": lambda n: (Speaker.objects.all(), [Count("first")], {}),
    "a key of two columns": lambda n: (Order.objects.filter(number__gte=n), [Count("pk")], {}),
    "another type": lambda n: (
        BOOKS(),
        [],
        {"x": Max(Value([n, str(n), float(n)][n % 3]))},
    ),
    "nothing": lambda n: (BOOKS(), [], {}),
    "no expression": lambda n: (BOOKS(), ["pages"], {}),
    "no aggregate": lambda n: (BOOKS(), [], {"x": F("pages")}),
    "no alias": lambda n: (BOOKS(), [Sum("pages") + 1], {}),
    "no such field": lambda n: (BOOKS(), [Sum("no_such")], {}),
    "an invalid alias": lambda n: (BOOKS(), [], {"x y": Sum("pages")}),
    "an aggregate of a key of two columns": lambda n: (Order.objects.all(), [Max("pk")], {}),
    "none": lambda n: (Book.objects.none(), [Sum("pages")], {"n": Count("pk")}),
    "no row can match": lambda n: (
        Book.objects.filter(pk__in=[[], [n]][n % 2]),
        [Sum("pages")],
        {"n": Count("pk")},
    ),
    "too large": lambda n: (
        BOOKS(),
        [],
        {"n": Count("pk", filter=Q(pages__lt=[2**70, n, -(2**70)][n % 3]))},
    ),
    "a value of another type": lambda n: (
        BOOKS(),
        [],
        {"n": Count("pk", filter=Q(pages=["37", "x", "74"][n % 3]))},
    ),
    "NULL": lambda n: (
        BOOKS(),
        [],
        {"n": Count("pk", filter=Q(published=[None, None][n % 2]) | Q(title__isnull=False))},
    ),
    "a related value that becomes NULL": lambda n: (
        Speaker.objects.all(),
        [],
        {
            "n": Count(
                "pk",
                filter=Q(second=Language(pk="any", name=[None, "en-speak"][n % 2])),
            )
        },
    ),
}
VALUES = [1, 2, 3, 2, 0]


@pytest.mark.parametrize("case", CASES)
def test_the_answer_is_djangos(case, run):
    make = CASES[case]

    def by_django(n):
        queryset, args, kwargs = make(n)
        return queryset.aggregate(*args, **kwargs)

    def ours(n):
        queryset, args, kwargs = make(n)
        return queryset.aaggregate(*args, **kwargs)

    async def on_the_bridge(n):
        return await bridge.run(by_django, n)

    expected = [django_answer(lambda n=n: by_django(n)) for n in VALUES]
    assert [run(lambda n=n: turbo_answer(lambda: ours(n))) for n in VALUES] == expected
    assert [run(lambda n=n: turbo_answer(lambda: on_the_bridge(n))) for n in VALUES] == expected
    cache.clear()
    assert [run(lambda n=n: turbo_answer(lambda: on_the_bridge(n))) for n in VALUES] == expected


HITS = [
    "sum and count",
    "all rows",
    "names",
    "no rows",
    "defaults",
    "a filter",
    "a filter by text",
    "a filter by an instance",
    "a filter over a relation",
    "constants",
    "a case",
    "an expression of aggregates",
    "aggregates of aggregates",
    "one that refers to another",
    "sliced",
    "sliced, with constants",
    "distinct",
    "distinct values",
    "grouped",
    "values",
    "ordered and related",
    "deferred",
    "by month",
    "of a related manager",
    "types",
    "dates and durations",
    "arrays and JSON",
    "a field that converts",
    "a key of two columns",
]


@pytest.mark.skipif(tracing.VERIFIES, reason="Django compiles each, to compare")
@pytest.mark.parametrize("way", ["async", "sync"])
@pytest.mark.parametrize("case", HITS)
def test_the_third_is_a_hit(case, way, run):
    async def ask(n):
        queryset, args, kwargs = CASES[case](n)
        if way == "async":
            return await queryset.aaggregate(*args, **kwargs)
        return await bridge.run(lambda: queryset.aggregate(*args, **kwargs))

    async def asked():
        for n in (1, 2):
            # Defaults are part of the key: that of the third is asked before, too.
            await ask(n)
            await ask(3)
        queryset, args, kwargs = CASES[case](3)
        explained = explain_cache(queryset.all(), "aaggregate", *args, **kwargs)
        before = cache_info()
        with counted() as count:
            await ask(3)
        return count, explained, before, cache_info()

    count, explained, before, after = run(asked)
    assert count == {"made": 0, "compiled": 0}
    assert (explained.outcome, explained.reason) == ("hit", "")
    assert "SELECT" in explained.sql
    assert after.hits == before.hits + 1
    assert after.bypasses == before.bypasses


@pytest.mark.skipif(tracing.VERIFIES, reason="Django compiles each, to compare")
def test_calls_of_python_functions(run):
    """Measured: 75 with Python 3.13 and Django 6.1, where ``aget()`` has 63."""

    async def called():
        for _ in range(3):
            await Book.objects.filter(pages__gt=3).aaggregate(Sum("pages"), n=Count("pk"))
        aggregates = Sum("pages"), Count("pk")
        with python_calls() as calls:
            await Book.objects.filter(pages__gt=3).aaggregate(aggregates[0], n=aggregates[1])
        return [f"{each.module}.{each.name}" for each in calls]

    found = run(called)
    assert "turbo_orm.orm.queryset.AsyncQuerySet.aaggregate" in found
    assert len(found) <= 80, found


def test_no_value_is_kept(run):
    async def ask():
        for word in ("confidential", "other"):
            await Author.objects.aaggregate(
                x=Max(Coalesce("name", Value(word))), n=Count("pk", filter=Q(name=word))
            )

    run(ask)
    assert "confidential" not in repr([[*each.statements] for each in cache])


class Own(AsyncQuerySet):
    def aggregate(self, *args, **kwargs):
        return {**super().aggregate(*args, **kwargs), "own": True}


def test_one_that_is_overridden(run):
    for _ in range(3):
        answer = run(lambda: Own(Book).filter(pages__gt=3).aaggregate(n=Count("pk")))
        assert answer["own"] is True
    explained = explain_cache(Own(Book).all(), "aaggregate", n=Count("pk"))
    assert (explained.outcome, explained.reason) == ("bypass", "Own overrides aggregate")


def test_one_that_another_package_replaces(run, monkeypatch):
    def ask():
        return run(lambda: Book.objects.aaggregate(n=Count("pk")))

    djangos = QuerySet.aggregate
    before = [ask() for _ in range(3)]
    monkeypatch.setattr(
        QuerySet,
        "aggregate",
        lambda self, *args, **kwargs: {"patched": djangos(self, *args, **kwargs)},
    )
    assert ask() == {"patched": before[0]}
    monkeypatch.undo()
    assert ask() == before[0]


class Folded(CharField):
    """Compares in lower case."""

    def get_prep_value(self, value):
        value = super().get_prep_value(value)
        return value if value is None else value.lower()


@pytest.fixture
def folded():
    class FoldedTag(Model):
        label = Folded(max_length=50)

        objects = AsyncManager()

        class Meta:
            app_label = "library"
            db_table = Tag._meta.db_table
            managed = False

    yield FoldedTag
    del apps.all_models["library"]["foldedtag"]
    apps.clear_cache()


def test_a_field_that_converts_some_values(folded, run):
    """The first is not changed by it."""

    def aggregates(label):
        return {"n": Count("pk", filter=Q(label=label) | Q(label__startswith=f"{label}-"))}

    def written(label):
        return {"label": Case(When(label=label, then=Value("x")), default=F("label"))}

    for label in ("tag-1", "TAG-1", "tag-2", "Tag"):
        expected = django_answer(lambda label=label: folded.objects.aggregate(**aggregates(label)))
        asked = lambda label=label: folded.objects.aaggregate(**aggregates(label))  # noqa: E731
        assert run(lambda: turbo_answer(asked)) == expected  # noqa: B023
        none = folded.objects.filter(pk=-1)
        expected = django_answer(lambda label=label: none.update(**written(label)))  # noqa: B023
        asked = lambda label=label: none.all().aupdate(**written(label))  # noqa: B023, E731
        assert run(lambda: turbo_answer(asked)) == expected  # noqa: B023


def test_time_zones(run):
    def ask():
        return run(
            lambda: turbo_answer(
                lambda: Book.objects.aaggregate(x=Max(TruncMonth("published")), n=Count("pk"))
            )
        )

    for _ in range(2):
        for zone in ("UTC", "Asia/Tokyo", "America/New_York", "UTC"):
            with timezone.override(zone):
                expected = django_answer(
                    lambda: Book.objects.aggregate(x=Max(TruncMonth("published")), n=Count("pk"))
                )
                assert ask() == expected


def test_the_rows_of_now_in_a_transaction(play):
    async def steps(orm):
        found = []
        for amount in (1, 2, 3):
            async with orm.atomic():
                account = await orm.call(
                    Account.objects, "create", owner=f"a{amount}", balance=amount
                )
                await orm.call(Entry.objects, "create", account=account, amount=amount)
                found.append(
                    await orm.call(
                        Account.objects.filter(balance__lte=amount).select_for_update(),
                        "aggregate",
                        total=Sum("balance"),
                        entries=Sum("entries__amount", filter=Q(entries__amount__gt=1)),
                    )
                )
        return found

    assert play(steps)["returned"][-1][0] is not None


def test_routers_are_asked_as_by_django(run):
    for _ in range(3):
        with routed(Router()):
            asked = router.routers[0].asked
            Book.objects.aggregate(n=Count("pk"))
            expected = asked.copy()
            asked.clear()
            run(lambda: Book.objects.aaggregate(n=Count("pk")))
            assert asked == expected


def test_what_explain_cache_takes():
    with pytest.raises(TypeError, match="arguments of aaggregate"):
        explain_cache(Book.objects.all(), "acount", Count("pk"))
    explained = explain_cache(Book.objects.all(), "aaggregate", n=Count("pk"))
    assert (explained.outcome, explained.reason) == ("miss", "nothing has been traced")
