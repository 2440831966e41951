"""Constants of expressions are values: queries that differ by them share a statement."""

import datetime
from decimal import Decimal

import pytest
from django.contrib.postgres.search import SearchQuery, SearchRank, SearchVector
from django.db.models import Case, Count, F, Q, Value, When
from django.db.models.functions import Coalesce, Concat, Left, Power, Round, StrIndex

from tests.library.models import Account, Author, Book, Entry, Sample
from tests.support.answers import fingerprint
from tests.support.counting import counted
from tests.support.givens import accounts
from turbo_orm.query_cache import tracing
from turbo_orm.query_cache.cache import cache

pytestmark = pytest.mark.usefixtures("library")

QUERIES = {
    "sum": (lambda n: Book.objects.annotate(x=F("pages") + n), [1, 7, 0, 2**40, -3]),
    "float": (lambda n: Book.objects.annotate(x=F("pages") * n), [1.5, 0.0, -0.0, 2.0]),
    "decimal": (
        lambda n: Sample.objects.annotate(x=Round(F("amount") * n, precision=2)),
        [Decimal("1.0"), Decimal("1.00"), Decimal("2.345")],
    ),
    "value": (lambda x: Author.objects.annotate(x=Value(x)), ["a", "", "x%s", "ü", "b"]),
    "two values": (
        lambda x: Author.objects.annotate(x=Value(x), y=Concat("name", Value("!"))),
        ["a", "!", "b", "c"],
    ),
    "search": (
        lambda term: (
            Book.objects.annotate(v=SearchVector("title"))
            .filter(v=SearchQuery(term))
            .order_by("pk")
        ),
        ["book", "none", "a & b", ""],
    ),
    "rank": (
        lambda term: Book.objects.annotate(
            rank=SearchRank(SearchVector("title", weight="A"), SearchQuery(term, config="english"))
        ).order_by("-rank", "pk"),
        ["book", "title", "x"],
    ),
    "cases": (
        lambda n: Book.objects.annotate(
            kind=Case(
                When(pages__gte=n, then=Value("thick")),
                When(Q(pages__lt=5) | Q(title__startswith="x"), then=Value("thin")),
                default=Value("plain"),
            )
        ).order_by("pk"),
        [1, 200, 300, 5],
    ),
    "equal results of cases": (
        lambda x: Book.objects.annotate(
            kind=Case(
                When(pages=1, then=Value(x)),
                When(pages=2, then=Value(x)),
                default=Value("other"),
            )
        ).values_list("kind"),
        ["a", "other", "b", "other", "c"],
    ),
    "filter": (
        lambda n: Book.objects.filter(pages__gt=F("author_id") + n).order_by("pk"),
        [0, 100, 300],
    ),
    "filter by an expression": (
        lambda n: Book.objects.alias(x=F("pages") + n).filter(x__gt=200).order_by("x", "pk"),
        [0, 100, 300],
    ),
    "in a negated condition": (
        lambda n: Book.objects.exclude(Q(pages__gt=F("author_id") + n) & Q(pk__gt=n)),
        [1, 0, 100, 300],
    ),
    "ordering": (lambda n: Book.objects.order_by((F("pages") - n).desc(), "pk"), [1, 5, 9]),
    "ordering by what is selected": (
        lambda n: Book.objects.annotate(x=F("pages") + n).order_by(F("pages") + 5, "pk"),
        [1, 5, 5, 9, 5],
    ),
    "grouped": (
        lambda n: (
            Book.objects.values(x=F("pages") / n, y=F("pages") / 100)
            .annotate(count=Count("pk"))
            .order_by("x", "y")
        ),
        [7, 100, 50, 100],
    ),
    "aggregate with a filter": (
        lambda n: Author.objects.annotate(
            x=Count("books", filter=Q(books__pages__gt=n)), y=Coalesce(F("born"), Value(None))
        ).order_by("pk"),
        [1, 100, 300],
    ),
    "functions": (
        lambda n: Author.objects.annotate(
            x=Left("name", n), y=StrIndex("name", Value("a")), z=Power(F("pk"), n)
        ).order_by("pk"),
        [1, 2, 3],
    ),
    "dates": (
        lambda day: Author.objects.annotate(x=Coalesce("born", Value(day))).order_by("pk"),
        [datetime.date(2001, 2, 3), datetime.date(1999, 1, 1)],
    ),
    "of another type": (
        lambda x: Author.objects.annotate(x=Value(x)).order_by("pk"),
        [1, "1", 1.0, True, None, Decimal(1), "2", 2, 2.0, False],
    ),
}


@pytest.mark.parametrize("case", QUERIES)
def test_the_answers_are_djangos(chains, case):
    make, values = QUERIES[case]
    chains(make, *values)


@pytest.mark.skipif(tracing.VERIFIES, reason="Django compiles each, to compare")
@pytest.mark.parametrize(
    "case", ["sum", "value", "search", "cases", "filter", "ordering", "functions"]
)
def test_other_constants_are_hits(run, case):
    make, (first, second, third, *_) = QUERIES[case]

    async def ask():
        for value in (first, second):
            await make(value).alist()
        with counted() as count:
            answer = fingerprint(await make(third).alist())
        return count, answer

    cache.clear()
    count, answer = run(ask)
    assert count == {"made": 0, "compiled": 0}
    assert answer == fingerprint(list(make(third)))


@pytest.mark.parametrize("n", [0, 3])
def test_updates(play, n):
    async def steps(orm):
        found = []
        for value in (n, n + 1, n + 2, n + 1):
            found.append(
                await orm.call(
                    Account.objects.filter(balance__gte=value),
                    "update",
                    balance=F("balance") * 2 + value,
                    owner=Concat(F("owner"), Value(str(value))),
                )
            )
        found.append(
            await orm.call(
                Entry.objects,
                "update",
                amount=Case(When(amount__gt=n, then=Value(1)), default=F("amount") - n),
            )
        )
        return found

    play(steps, given=accounts)


@pytest.mark.skipif(tracing.VERIFIES, reason="Django compiles each, to compare")
def test_updates_are_hits(run):
    async def compiled(n):
        with counted() as count:
            await Book.objects.filter(pk=-1).aupdate(pages=F("pages") + n)
        return count["compiled"]

    cache.clear()
    for n in range(3):
        run(lambda n=n: compiled(n))
    assert run(lambda: compiled(5)) == 0


def test_nothing_of_a_constant_is_kept(run):
    async def ask():
        for word in ("confidential", "other"):
            await Author.objects.annotate(x=Concat("name", Value(word))).alist()

    cache.clear()
    run(ask)
    steps = [entry.step for entry in cache if entry.step is not None]
    assert steps
    assert "confidential" not in repr([(step.args, step.kwargs) for step in steps])
    assert "confidential" not in repr([vars(each) for each in steps[0].kwargs["x"].flatten()])
