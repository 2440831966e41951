"""Querysets of every kind, over the tables that tests only read."""

from django.db.models import (
    Avg,
    Case,
    Count,
    Exists,
    F,
    FilteredRelation,
    Max,
    OuterRef,
    Prefetch,
    Q,
    Subquery,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.functions import Concat, Length, Lower, RowNumber, TruncMonth, Upper

from tests.library.models import (
    Author,
    Book,
    Converted,
    Event,
    Note,
    Order,
    Place,
    PrintedBook,
    Profile,
    Restaurant,
    Sample,
    Tag,
    WithDescriptor,
    WithFromDb,
    WithInit,
    WithMixin,
)

BOOKS = Book.objects.order_by("pk")

QUERYSETS = {
    "all": lambda: BOOKS.all(),
    "none": lambda: BOOKS.none(),
    "empty in": lambda: BOOKS.filter(pk__in=[]),
    "filter": lambda: BOOKS.filter(pages__gt=100, author__name__startswith="A"),
    "complex_filter": lambda: BOOKS.complex_filter(Q(pages=37)) | BOOKS.complex_filter({"pk": 1}),
    "exclude": lambda: BOOKS.exclude(Q(pages__lt=100) | Q(translator=None)),
    "slice": lambda: BOOKS.all()[3:7],
    "reverse": lambda: BOOKS.reverse(),
    "distinct": lambda: Book.objects.order_by("author_id").distinct("author_id"),
    "ordered by Meta": lambda: Author.objects.all(),
    "samples": lambda: Sample.objects.order_by("pk"),
    "only": lambda: BOOKS.only("title", "pages"),
    "defer": lambda: BOOKS.defer("title", "author"),
    "select_related": lambda: BOOKS.select_related("author"),
    "select_related null": lambda: BOOKS.select_related("author", "translator"),
    "select_related nested": lambda: BOOKS.select_related("author__profile", "translator"),
    "select_related reverse": lambda: Author.objects.select_related("profile"),
    "select_related only": lambda: BOOKS.select_related("author").only("title", "author__name"),
    "select_related forward": lambda: Profile.objects.select_related("author").order_by("pk"),
    "filtered relation": lambda: Author.objects.annotate(
        p=FilteredRelation("profile", condition=Q(profile__motto__contains="Ada"))
    ).select_related("p"),
    "annotate": lambda: BOOKS.annotate(
        n=Count("tags"), length=Length("title"), both=F("pages") + 1, fixed=Value("x")
    ),
    "annotate over instances": lambda: Author.objects.annotate(
        thick=Count("books", filter=Q(books__pages__gt=200)), most=Max("books__pages")
    ),
    "alias": lambda: BOOKS.alias(n=Count("tags")).filter(n__gt=1),
    "case": lambda: BOOKS.annotate(
        size=Case(When(pages__gt=200, then=Value("big")), default=Value("small"))
    ),
    "window": lambda: BOOKS.annotate(
        rank=Window(RowNumber(), partition_by=F("author"), order_by=F("pages").desc())
    ),
    "subquery": lambda: Author.objects.annotate(
        latest=Subquery(
            Book.objects.filter(author=OuterRef("pk")).order_by("-pages").values("title")[:1]
        )
    ),
    "exists": lambda: Author.objects.filter(
        Exists(Book.objects.filter(author=OuterRef("pk"), pages__gt=450))
    ),
    "in a subquery": lambda: BOOKS.filter(author__in=Author.objects.filter(born=None)),
    "union": lambda: BOOKS.filter(pages__lt=50).union(BOOKS.filter(pages__gt=450)).order_by("pk"),
    "intersection": lambda: BOOKS.filter(pages__lt=250).intersection(BOOKS.filter(pages__gt=50)),
    "difference": lambda: Book.objects.difference(BOOKS.filter(pages__gt=50)).order_by("id"),
    "and, or": lambda: (BOOKS.filter(pages__lt=50) | BOOKS.filter(pages__gt=450)) & BOOKS.all(),
    "extra": lambda: BOOKS.extra(select={"double": "pages * 2"}, where=["pages > 10"]),
    "dates": lambda: Author.objects.dates("born", "year"),
    "datetimes": lambda: Book.objects.datetimes("published", "month"),
    "values": lambda: BOOKS.values(),
    "values of samples": lambda: Sample.objects.order_by("pk").values(),
    "values named": lambda: BOOKS.values("title", "author__name", low=Lower("title")),
    "values annotated": lambda: BOOKS.values("author").annotate(n=Count("pk"), p=Avg("pages")),
    "values in order": lambda: BOOKS.annotate(a=F("pages")).values("a", "title"),
    "values extra": lambda: BOOKS.extra(select={"d": "pages * 2"}).values("title", "d"),
    "values grouped": lambda: (
        Book.objects.values("author__name").annotate(total=Sum("pages")).order_by("-total")
    ),
    "values_list": lambda: BOOKS.values_list(),
    "values_list of samples": lambda: Sample.objects.order_by("pk").values_list(),
    "values_list named": lambda: BOOKS.values_list("pk", "title", named=True),
    "values_list named all": lambda: BOOKS.annotate(n=Count("tags")).values_list(named=True),
    "values_list flat": lambda: BOOKS.values_list("title", flat=True),
    "values_list expression": lambda: BOOKS.values_list("pk", Upper("title")),
    "values_list key": lambda: Sample.objects.order_by("pk").values_list("data__a", "data__a__0"),
    "values_list month": lambda: BOOKS.values_list(TruncMonth("published"), flat=True),
    "combined values": lambda: (
        BOOKS.values_list("title").union(Author.objects.values_list("name")).order_by("title")
    ),
    "prefetch": lambda: Author.objects.prefetch_related("books"),
    "prefetch nested": lambda: Author.objects.prefetch_related("books__tags", "profile"),
    "prefetch forward": lambda: BOOKS.prefetch_related("author", "translator"),
    "prefetch to_attr": lambda: Author.objects.prefetch_related(
        Prefetch("books", queryset=Book.objects.filter(pages__gt=200), to_attr="thick")
    ),
    "prefetch sliced": lambda: Author.objects.prefetch_related(
        Prefetch("books", queryset=Book.objects.order_by("-pages")[:2], to_attr="thickest")
    ),
    "prefetch generic": lambda: BOOKS.prefetch_related("notes"),
    "prefetch generic target": lambda: Note.objects.prefetch_related("target").order_by("pk"),
    "prefetch many to many": lambda: Tag.objects.prefetch_related("books__author"),
    "related manager": lambda: Author.objects.get(name="Ada").books.order_by("pk"),
    "many to many": lambda: Book.objects.get(title="Book 3").tags.all(),
    "generic relation": lambda: Book.objects.get(title="Book 5").notes.all(),
    "proxy": lambda: PrintedBook.printed.order_by("pk"),
    "as_manager": lambda: PrintedBook.by_pages.thick().order_by("pk"),
    "from_queryset": lambda: PrintedBook.printed.thick().order_by("pk"),
    "child table": lambda: Restaurant.objects.order_by("pk"),
    "parent table": lambda: Place.objects.select_related("restaurant").order_by("pk"),
    "abstract base": lambda: Event.objects.all(),
    "field converts": lambda: Converted.objects.order_by("pk"),
    "field converts values": lambda: Converted.objects.order_by("pk").values("shout"),
    "from_db": lambda: WithFromDb.objects.order_by("pk"),
    "from_db deferred": lambda: WithFromDb.objects.only("pk").order_by("pk"),
    "from_db of a list": lambda: WithFromDb.objects.annotate(n=Length("name")).order_by("pk"),
    "__init__": lambda: WithInit.objects.order_by("pk"),
    "mixin": lambda: WithMixin.objects.order_by("pk"),
    "descriptor": lambda: WithDescriptor.objects.order_by("pk"),
    "composite key": lambda: Order.objects.order_by("number"),
    "composite key values": lambda: Order.objects.order_by("number").values_list("pk", "total"),
    "composite key dict": lambda: Order.objects.order_by("number").values("total", "pk", "shop"),
    "composite key flat": lambda: Order.objects.order_by("number").values_list("pk", flat=True),
    "for update": lambda: BOOKS.select_for_update()[:0],
    "concat": lambda: Author.objects.annotate(x=Concat("name", Value(" "), "name")),
    "using": lambda: Book.objects.using("default").order_by("pk")[:2],
}
