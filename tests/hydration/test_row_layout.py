"""The shapes that relations and annotations give to instances."""

import datetime

import django
import pytest
from django.contrib.postgres.aggregates import ArrayAgg, BoolOr, JSONBAgg
from django.contrib.postgres.expressions import ArraySubquery
from django.db import models
from django.db.models import (
    Avg,
    Case,
    CharField,
    Count,
    DecimalField,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    FilteredRelation,
    FloatField,
    Func,
    IntegerField,
    JSONField,
    Max,
    Min,
    OuterRef,
    Q,
    StdDev,
    Subquery,
    Sum,
    Value,
    Variance,
    When,
    Window,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import (
    Cast,
    Coalesce,
    Extract,
    JSONObject,
    Lag,
    Length,
    NullIf,
    Rank,
    TruncDate,
    TruncDay,
    TruncTime,
    Upper,
)

from tests.library.fields import Chapter, Grammar, Language, OrderLine, Speaker
from tests.library.models import Author, Book, Order, Profile, Sample, Tag

BOOKS = Book.objects.order_by("pk")
AUTHORS = Author.objects.order_by("pk")
SAMPLES = Sample.objects.order_by("pk")


def string_agg(expression, **kwargs):
    """Django moved it, and the delimiter is an expression since."""
    if django.VERSION >= (6, 0):
        return models.StringAgg(expression, Value("; "), **kwargs)
    from django.contrib.postgres.aggregates import StringAgg

    return StringAgg(expression, "; ", **kwargs)


RELATED = {
    "three deep": lambda: Chapter.objects.select_related("grammar__language").order_by("pk"),
    "a key that is a relation": lambda: Grammar.objects.select_related("language").order_by("pk"),
    "to a field that is no key": lambda: Speaker.objects.select_related(
        "first", "second", "teacher__second"
    ).order_by("pk"),
    "reverse one to one, and back": lambda: Language.objects.select_related(
        "grammar__language"
    ).order_by("pk"),
    "deferred key": lambda: Chapter.objects.select_related("grammar").only(
        "title", "grammar__year"
    ),
    "deferred related": lambda: Chapter.objects.select_related("grammar__language").defer(
        "grammar__language__name"
    ),
    "deferred on both sides": lambda: BOOKS.select_related("author", "translator").defer(
        "title", "author__name", "translator__born"
    ),
    "only the key": lambda: BOOKS.select_related("author").only("author__id"),
    "only across three": lambda: BOOKS.select_related("author__profile").only(
        "title", "author__profile__motto"
    ),
    "composite": lambda: OrderLine.objects.select_related("order").order_by("pk"),
    "composite, deferred": lambda: (
        OrderLine.objects.select_related("order").only("order__total").order_by("pk")
    ),
    "undone": lambda: BOOKS.select_related("author").select_related(None),
    "filtered relation": lambda: AUTHORS.annotate(
        own=FilteredRelation("profile", condition=Q(profile__motto__contains="o"))
    ).select_related("own"),
    "filtered relation, forward": lambda: BOOKS.annotate(
        t=FilteredRelation("translator", condition=Q(translator__born=None))
    ).select_related("t__profile"),
    "filtered relation that is counted": lambda: AUTHORS.annotate(
        thick=FilteredRelation("books", condition=Q(books__pages__gt=200))
    ).annotate(n=Count("thick"), most=Max("thick__pages")),
    "with annotations of both": lambda: BOOKS.select_related("author").annotate(
        n=Length("title"), m=Upper("author__name")
    ),
    "for update": lambda: BOOKS.select_related("author").select_for_update(of=("self",))[:0],
}

ANNOTATED = {
    "aggregates": lambda: AUTHORS.annotate(
        n=Count("books"),
        different=Count("books__pages", distinct=True),
        total=Sum("books__pages"),
        mean=Avg("books__pages"),
        least=Min("books__published"),
        deviation=StdDev("books__pages"),
        variance=Variance("books__pages", sample=True),
    ),
    "an aggregate of decimals": lambda: (
        Order.objects.values("shop").annotate(t=Sum("total"), a=Avg("total")).order_by("shop")
    ),
    "an aggregate of spans": lambda: (
        Sample.objects.values("flag")
        .annotate(s=Sum("span"), m=Max("amount"), x=Avg("span"))
        .order_by("flag")
    ),
    "with a default": lambda: AUTHORS.annotate(n=Sum("translated__pages", default=0)),
    "expressions": lambda: BOOKS.annotate(
        half=F("pages") / 2.0,
        part=ExpressionWrapper(F("pages") / Value(7), output_field=FloatField()),
        decimal=ExpressionWrapper(F("pages") * 1, output_field=DecimalField()),
        age=ExpressionWrapper(F("published") - F("author__born"), output_field=DurationField()),
        truth=ExpressionWrapper(Q(pages__gt=100), output_field=models.BooleanField()),
        negative=-F("pages"),
    ),
    "conditions": lambda: BOOKS.annotate(
        size=Case(
            When(pages__gt=400, then=Value("huge")),
            When(translator=None, then="title"),
            output_field=CharField(),
        ),
        thick=Q(pages__gt=200),
        known=Exists(Profile.objects.filter(author=OuterRef("author"))),
    ),
    "windows": lambda: BOOKS.annotate(
        rank=Window(Rank(), partition_by="author", order_by="-pages"),
        before=Window(Lag("published"), order_by="pk"),
        share=Window(Avg("pages"), partition_by=F("translator")),
    ),
    "filtered by a window": lambda: BOOKS.annotate(
        rank=Window(Rank(), partition_by="author", order_by="-pages")
    ).filter(rank__lte=2),
    "subqueries": lambda: AUTHORS.annotate(
        newest=Subquery(
            Book.objects.filter(author=OuterRef("pk")).order_by("-pk").values("published")[:1]
        ),
        titles=ArraySubquery(
            Book.objects.filter(author=OuterRef("pk")).order_by("pk").values("title")
        ),
    ),
    "array_agg": lambda: AUTHORS.annotate(
        all=ArrayAgg("books__pages", order_by="books__pk"),
        when=ArrayAgg("books__published", order_by="books__pk", default=Value([])),
        distinct=ArrayAgg("books__title", distinct=True, filter=Q(books__pages__gt=200)),
    ),
    "jsonb_agg": lambda: AUTHORS.annotate(
        all=JSONBAgg("books__title", order_by="books__pk"), any=BoolOr(Q(books__pages__gt=400))
    ),
    "string_agg": lambda: AUTHORS.annotate(all=string_agg("books__title", order_by="books__pk")),
    "casts": lambda: BOOKS.annotate(
        text=Cast("pages", CharField()),
        number=Cast("pages", DecimalField(max_digits=8, decimal_places=3)),
        real=Cast("pages", FloatField()),
        day=Cast("published", models.DateField()),
        json=Cast(Value("[1.50]"), JSONField()),
    ),
    "functions": lambda: BOOKS.annotate(
        x=Coalesce("translator__name", Value("–")),
        y=NullIf("pages", Value(0)),
        json=JSONObject(title="title", of=F("author__name"), at="published"),
        year=Extract("published", "year"),
        day=TruncDay("published"),
        date=TruncDate("published"),
        time=TruncTime("published"),
        custom=Func(F("title"), function="reverse", output_field=CharField()),
    ),
    "values": lambda: AUTHORS.annotate(
        a=Value(1),
        b=Value("x"),
        c=Value(None, output_field=IntegerField()),
        d=Value(datetime.date(2024, 2, 29)),
        e=Value([1, {"a": None}], output_field=JSONField()),
        f=Value(1.5),
    ),
    "raw": lambda: AUTHORS.annotate(x=RawSQL("SELECT count(*) FROM library_book", [])),
    "an alias that is used": lambda: BOOKS.alias(n=Length("title")).annotate(m=F("n") * 2),
    "over only()": lambda: BOOKS.only("title").annotate(n=Count("tags")),
    "over defer()": lambda: BOOKS.defer("title").annotate(n=Length("title")),
    "over distinct()": lambda: AUTHORS.annotate(p=F("books__pages")).distinct(),
    "extra": lambda: BOOKS.extra(
        select={"double": "pages * %s", "now": "'2024-02-29'::date"}, select_params=[2]
    ).annotate(n=F("pages")),
    "extra over a field": lambda: BOOKS.extra(select={"title": "upper(title)"}),
    "extra tables": lambda: Tag.objects.extra(
        tables=["library_profile"],
        where=["library_profile.id = library_tag.id"],
        select={"motto": "library_profile.motto"},
    ).order_by("pk"),
}


@pytest.mark.parametrize("case", RELATED)
def test_related(case, read):
    read(RELATED[case])


@pytest.mark.parametrize("case", ANNOTATED)
def test_annotated(case, read):
    read(ANNOTATED[case])
