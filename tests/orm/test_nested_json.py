"""``ajson(nested=…)``: objects of relations, and rows of related models in rows.

What Django prefetches says what belongs where.
"""

import json

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.db.models import (
    CASCADE,
    CharField,
    Count,
    F,
    ForeignKey,
    JSONField,
    Model,
    OneToOneField,
    Prefetch,
    Value,
)
from django.db.models.functions import Upper
from django.test.utils import CaptureQueriesContext, isolate_apps

from tests.library.lineage import Building, Inn, Palace, Region, Tour
from tests.library.models import (
    Account,
    Author,
    Book,
    Captain,
    Contract,
    Entry,
    Profile,
    Skill,
    Tag,
    Team,
)
from tests.support.routers import routed
from turbo_orm import AsyncManager, bridge
from turbo_orm.execution import direct, fetching
from turbo_orm.query_cache.cache import cache

pytestmark = pytest.mark.usefixtures("library", "empty_cache")


def dumps(objects):
    return json.dumps(objects, cls=DjangoJSONEncoder).encode()


def agree(make, nested, expected, run):
    """Compare with what is expected: as it is traced, as it is cached, made by Django, and in sync
    code."""

    async def ask():
        return [
            await make().ajson(nested=nested() if callable(nested) else nested) for _ in range(4)
        ]

    def ask_in_sync_code():
        return [make().json(nested=nested() if callable(nested) else nested) for _ in range(3)]

    cache.clear()
    answers = [*run(ask), *run(lambda: bridge.run(ask_in_sync_code)), *ask_in_sync_code()]
    with cache_off():
        answers += [*run(ask), *ask_in_sync_code()]
    for answer in answers:
        assert json.loads(answer) == json.loads(dumps(expected))
        assert answer == dumps(expected)


def cache_off():
    from django.conf import settings
    from django.test import override_settings

    return override_settings(TURBO_ORM={**settings.TURBO_ORM, "QUERY_CACHE": False})


def author(author):
    return author and {"name": author.name, "born": author.born}


def books():
    return Book.objects.select_related("author__profile", "translator").order_by("pk")


NAMED = {
    "a foreign key": (
        lambda: Book.objects.order_by("pk").values("title", "author__name", "author__born"),
        lambda: [{"title": b.title, "author": author(b.author)} for b in books()],
    ),
    "one that may be null": (
        lambda: Book.objects.order_by("pk").values("translator__name", "pk", "translator__born"),
        lambda: [{"translator": author(b.translator), "pk": b.pk} for b in books()],
    ),
    "names between those of a relation": (
        lambda: Book.objects.order_by("pk").values("author__name", "title", "author__born"),
        lambda: [{"author": author(b.author), "title": b.title} for b in books()],
    ),
    "two relations": (
        lambda: Book.objects.order_by("pk").values("author__profile__motto", "author__name"),
        lambda: [
            {
                "author": {
                    "profile": {"motto": b.author.profile.motto}
                    if hasattr(b.author, "profile")
                    else None,
                    "name": b.author.name,
                }
            }
            for b in books()
        ],
    ),
    "a key beside it": (
        lambda: Book.objects.order_by("pk").values("author_id", "author__name"),
        lambda: [{"author_id": b.author_id, "author": {"name": b.author.name}} for b in books()],
    ),
    "a transform": (
        lambda: Book.objects.order_by("pk").values("published__year", "author__born__year"),
        lambda: [
            {
                "published__year": b.published and b.published.year,
                "author": {"born__year": b.author.born and b.author.born.year},
            }
            for b in books()
        ],
    ),
    "annotations": (
        lambda: (
            Author.objects.order_by("pk")
            .values("name")
            .annotate(upper__name=Upper("name"), books__count=Count("books"))
        ),
        lambda: [
            {"name": a.name, "upper__name": a.name.upper(), "books": {"count": a.books.count()}}
            for a in Author.objects.order_by("pk")
        ],
    ),
    "all names": (
        lambda: Tag.objects.order_by("pk").values(),
        lambda: [{"id": t.pk, "label": t.label} for t in Tag.objects.order_by("pk")],
    ),
    "no rows": (lambda: Book.objects.filter(pk=-1).values("author__name"), list),
    "nothing that can match": (lambda: Book.objects.none().values("author__name"), list),
}


@pytest.mark.parametrize("case", NAMED)
def test_what_is_selected_by_way_of_relations(case, run):
    make, expected = NAMED[case]
    agree(make, True, expected(), run)


def names(objects):
    return [{"name": each.name} for each in objects]


def labels(tags):
    return [{"label": tag.label} for tag in tags]


TITLES = Book.objects.order_by("-pages", "pk").values("title")
LABELS = Tag.objects.order_by("label").values("label")


def authors(*lookups):
    return Author.objects.order_by("pk").prefetch_related(*lookups)


SORTED_TAGS = Prefetch("tags", Tag.objects.order_by("label"))
OF_ONE_BOOK = Tag.objects.filter(books__title="Book 2").order_by("label")
COUNTED = Tag.objects.annotate(n=Count("books")).order_by("label")
SORTED_BOOKS = Prefetch("books", Book.objects.order_by("-pages", "pk"))

RELATED = {
    "from the other side of a foreign key": (
        lambda: Author.objects.order_by("pk").values("name"),
        {"books": TITLES},
        lambda: [
            {"name": a.name, "books": [{"title": b.title} for b in a.books.all()]}
            for a in authors(SORTED_BOOKS)
        ],
    ),
    "many to many": (
        lambda: Book.objects.order_by("pk").values("title"),
        {"tags": LABELS},
        lambda: [
            {"title": b.title, "tags": labels(b.tags.all())}
            for b in books().prefetch_related(SORTED_TAGS)
        ],
    ),
    "many to many from the other side": (
        lambda: Tag.objects.order_by("pk").values("id", "label"),
        {"books": TITLES},
        lambda: [
            {"id": t.pk, "label": t.label, "books": [{"title": b.title} for b in t.books.all()]}
            for t in Tag.objects.order_by("pk").prefetch_related(SORTED_BOOKS)
        ],
    ),
    "many to many of one model": (
        lambda: Author.objects.order_by("pk").values("name"),
        {"friends": Author.objects.values("name")},
        lambda: [{"name": a.name, "friends": names(a.friends.all())} for a in authors("friends")],
    ),
    "one to one from the other side": (
        lambda: Author.objects.order_by("pk").values("name"),
        {"profile": Profile.objects.values("motto")},
        lambda: [
            {
                "name": a.name,
                "profile": {"motto": a.profile.motto} if hasattr(a, "profile") else None,
            }
            for a in authors("profile")
        ],
    ),
    "foreign keys": (
        lambda: Book.objects.order_by("pk").values("title"),
        {
            "author": Author.objects.values("name", "born"),
            "translator": Author.objects.values("name", "born"),
        },
        lambda: [
            {"title": b.title, "author": author(b.author), "translator": author(b.translator)}
            for b in books()
        ],
    ),
    "several, and names by way of relations": (
        lambda: Book.objects.order_by("pk").values("author__name"),
        {"tags": LABELS, "translator": Author.objects.values("profile__motto", "name")},
        lambda: [
            {
                "author": {"name": b.author.name},
                "tags": labels(b.tags.all()),
                "translator": b.translator
                and {
                    "profile": {"motto": b.translator.profile.motto}
                    if hasattr(b.translator, "profile")
                    else None,
                    "name": b.translator.name,
                },
            }
            for b in books().prefetch_related(SORTED_TAGS)
        ],
    ),
    "one within the other": (
        lambda: Author.objects.order_by("pk").values("name"),
        {"books__tags": LABELS, "books": TITLES},
        lambda: [
            {
                "name": a.name,
                "books": [{"title": b.title, "tags": labels(b.tags.all())} for b in a.books.all()],
            }
            for a in authors(SORTED_BOOKS, Prefetch("books__tags", Tag.objects.order_by("label")))
        ],
    ),
    "the first of each": (
        lambda: Author.objects.order_by("pk").values("name"),
        {"books": Book.objects.order_by("-pages", "pk").values("title")[:1]},
        lambda: [
            {"name": a.name, "books": [{"title": b.title} for b in a.books.all()[:1]]}
            for a in authors(SORTED_BOOKS)
        ],
    ),
    "the first of each, of many to many": (
        lambda: Book.objects.order_by("pk").values("title"),
        {"tags": Tag.objects.order_by("label").values("label")[:1]},
        lambda: [
            {"title": b.title, "tags": labels(b.tags.all()[:1])}
            for b in books().prefetch_related(SORTED_TAGS)
        ],
    ),
    "slices that select what they are found by": (
        lambda: Author.objects.order_by("pk").values("name"),
        {
            "books": Book.objects.order_by("-pages", "pk").values("author_id", "pk")[:1],
            "books__tags": LABELS,
            "profile": Profile.objects.order_by("pk").values("author")[:1],
        },
        lambda: [
            {
                "name": a.name,
                "books": [
                    {"author_id": a.pk, "pk": b.pk, "tags": labels(b.tags.order_by("label"))}
                    for b in a.books.all()[:1]
                ],
                "profile": {"author": a.pk} if hasattr(a, "profile") else None,
            }
            for a in authors(SORTED_BOOKS)
        ],
    ),
    "those of a proxy, and rows of its model": (
        lambda: Tour.objects.order_by("pk").values("pk"),
        {"palace": Palace.objects.values("towers"), "building": Inn.objects.values("rooms")},
        lambda: [
            {
                "pk": tour.pk,
                "palace": tour.palace and {"towers": tour.palace.towers},
                "building": {"rooms": tour.building.inn.rooms}
                if hasattr(tour.building, "inn")
                else None,
            }
            for tour in Tour.objects.order_by("pk")
        ],
    ),
    "aggregates": (
        lambda: Author.objects.order_by("pk").values("name"),
        {"books": Book.objects.order_by("pages").values("pages").annotate(n=Count("pk"))},
        lambda: [
            {
                "name": a.name,
                "books": [
                    {"pages": pages, "n": [b.pages for b in a.books.all()].count(pages)}
                    for pages in sorted({b.pages for b in a.books.all()})
                ],
            }
            for a in authors("books")
        ],
    ),
    "a filter by the same relation, whose joins are shared": (
        lambda: Book.objects.order_by("pk").values("title"),
        {"tags": OF_ONE_BOOK.values("label")},
        lambda: [
            {"title": b.title, "tags": labels(b.tags.all())}
            for b in books().prefetch_related(Prefetch("tags", OF_ONE_BOOK))
        ],
    ),
    "a slice, and a filter by the same relation": (
        lambda: Book.objects.order_by("pk").values("title"),
        {"tags": OF_ONE_BOOK.values("label")[:1]},
        lambda: [
            {"title": b.title, "tags": labels(b.tags.all()[:1])}
            for b in books().prefetch_related(Prefetch("tags", OF_ONE_BOOK))
        ],
    ),
    "what is counted of the same relation": (
        lambda: Book.objects.order_by("pk").values("title"),
        {"tags": COUNTED.values("label", "n")},
        lambda: [
            {"title": b.title, "tags": [{"label": t.label, "n": t.n} for t in b.tags.all()]}
            for b in books().prefetch_related(Prefetch("tags", COUNTED))
        ],
    ),
    "one that is found several times": (
        lambda: Book.objects.order_by("pk").values("title"),
        {"author": Author.objects.filter(books__pages__gte=0).values("name", "born")},
        lambda: [{"title": b.title, "author": author(b.author)} for b in books()],
    ),
    "an annotation, and a limit": (
        lambda: Author.objects.order_by("pk").values("id").annotate(upper=Upper("name"))[:2],
        {"books": TITLES.annotate(x=F("pages"))},
        lambda: [
            {
                "id": a.pk,
                "upper": a.name.upper(),
                "books": [{"title": b.title, "x": b.pages} for b in a.books.all()],
            }
            for a in authors(SORTED_BOOKS)[:2]
        ],
    ),
    "none that are related": (
        lambda: Author.objects.order_by("pk").values("name"),
        {"books": TITLES.filter(pk=-1)},
        lambda: [{"name": a.name, "books": []} for a in Author.objects.order_by("pk")],
    ),
    "no rows": (
        lambda: Author.objects.filter(pk=-1).values("name"),
        {"books": TITLES},
        list,
    ),
    "no relations": (
        lambda: Tag.objects.order_by("pk").values("label"),
        {},
        lambda: labels(Tag.objects.order_by("pk")),
    ),
}


@pytest.mark.parametrize("case", RELATED)
def test_rows_of_related_models(case, run):
    make, nested, expected = RELATED[case]
    agree(make, nested, expected(), run)


def test_rows_without_what_they_would_be_related_by(run):
    """A foreign key that is null has no related row, and is asked for by none."""
    make = Book.objects.filter(translator=None).order_by("pk").values("title")
    nested = {"translator": Author.objects.values("name")}
    expected = [{"title": b.title, "translator": None} for b in books().filter(translator=None)]
    agree(lambda: make.all(), nested, expected, run)


REFUSED = {
    "no relation": ({"title": TITLES}, ValueError, "'title' is no foreign key"),
    "no such name": ({"nothing": TITLES}, ValueError, "'nothing' is no foreign key"),
    "a generic relation": ({"notes": TITLES}, ValueError, "'notes' is no foreign key"),
    "instances": ({"tags": Tag.objects.all()}, TypeError, "of values"),
    "tuples": ({"tags": Tag.objects.values_list("label")}, TypeError, "of values"),
    "no queryset": ({"tags": ["label"]}, TypeError, "not by list"),
    "another model": ({"tags": TITLES}, ValueError, "relates to Tag, and .* of Book"),
    "within nothing": ({"tags__books": TITLES}, ValueError, "'tags__books' is nested in"),
    "a name that is selected": ({"author": Author.objects.values("name")}, ValueError, "too"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_nested(case, run):
    nested, error, message = REFUSED[case]
    queryset = Book.objects.values("author")
    with pytest.raises(error, match=message):
        run(lambda: queryset.ajson(nested=nested))
    with pytest.raises(error, match=message):
        queryset.json(nested=nested)


SHADOWED = {
    "the outer key": (Author.objects.values("name").annotate(id=Value(1)), TITLES, "id"),
    "the inner key": (
        Author.objects.values("name"),
        TITLES.annotate(author_id=F("pk")),
        "author_id",
    ),
    "the relation": (Author.objects.values("name"), TITLES.annotate(author=F("pk")), "author"),
}


@pytest.mark.parametrize("case", SHADOWED)
def test_an_annotation_that_has_the_name_of_a_key(case, run):
    """After values(), Django lets annotations have names of fields, and finds them first."""
    queryset, books, name = SHADOWED[case]
    with pytest.raises(ValueError, match=f"'{name}' is an annotation of the queryset"):
        run(lambda: queryset.ajson(nested={"books": books}))


@pytest.mark.parametrize("nested", [["tags"], "tags", 1, None])
def test_names_without_querysets(nested, run):
    queryset = Book.objects.values("title")
    with pytest.raises(TypeError, match=f"is no {type(nested).__name__}"):
        run(lambda: queryset.ajson(nested=nested))
    with pytest.raises(TypeError, match=f"is no {type(nested).__name__}"):
        queryset.json(nested=nested)


def test_a_value_that_would_be_an_object(run):
    for names in (("author", "author__name"), ("author__name", "author")):
        queryset = Book.objects.values(*names)
        for _ in range(3):
            with pytest.raises(ValueError, match=r"'author' would be .* 'author_id'"):
                run(lambda: queryset.ajson(nested=True))  # noqa: B023
        with pytest.raises(ValueError, match="'author' would be"):
            queryset.json(nested=True)


@pytest.mark.parametrize("nested", [True, {"books": TITLES}])
def test_rows_without_names(nested, run):
    for queryset in (
        Author.objects.values_list("name"),
        Author.objects.values_list("name", flat=True),
        Author.objects.dates("born", "year"),
    ):
        with pytest.raises(TypeError, match="values"):
            run(lambda: queryset.ajson(nested=nested))  # noqa: B023
        with pytest.raises(TypeError, match="values"):
            queryset.json(nested=nested)


UNCERTAIN = {
    "distinct": Author.objects.values("name").distinct(),
    "grouped": Author.objects.values("born").annotate(n=Count("pk")),
    "a union": Author.objects.values("name").union(Author.objects.values("name")),
}


@pytest.mark.parametrize("case", UNCERTAIN)
def test_a_key_that_would_change_the_rows(case, run):
    with pytest.raises(ValueError, match="nested by 'id'"):
        run(lambda: UNCERTAIN[case].ajson(nested={"books": TITLES}))


def test_a_key_that_is_selected(run):
    queryset = Author.objects.order_by("pk").values("id").annotate(n=Count("books")).distinct()
    expected = [
        {"id": a.pk, "n": len(a.books.all()), "books": [{"title": b.title} for b in a.books.all()]}
        for a in authors(SORTED_BOOKS)
    ]
    agree(queryset.all, {"books": TITLES}, expected, run)


def test_results_that_are_there(run):
    queryset = Author.objects.order_by("pk").values("id", "name")
    list(queryset)
    expected = [
        {"id": a.pk, "name": a.name, "books": [{"title": b.title} for b in a.books.all()]}
        for a in authors(SORTED_BOOKS)
    ]
    with CaptureQueriesContext(connection) as captured:
        assert queryset.json(nested={"books": TITLES}) == dumps(expected)
    assert len(captured) == 1


def test_results_that_lack_a_key(run):
    queryset = Author.objects.order_by("pk").values("name")
    list(queryset)
    _, nested, expected = RELATED["from the other side of a foreign key"]
    assert queryset.json(nested=nested) == dumps(expected())


def test_a_child_of_a_model(scratch, run):
    """What relates to a model relates to those that inherit its table."""
    red = Team.objects.create(name="red")
    one = Captain.objects.create(name="one", armband="wide", team=red)
    Captain.objects.create(name="other")
    contracts = [Contract.objects.create(player=one).pk for _ in range(2)]
    one.skills.add(Skill.objects.create(name="chess"))
    nested = {
        "team": Team.objects.values("name"),
        "contracts": Contract.objects.order_by("pk").values("pk"),
        "skills": Skill.objects.values("name"),
    }
    expected = [
        {
            "armband": "wide",
            "team": {"name": "red"},
            "contracts": [{"pk": pk} for pk in contracts],
            "skills": [{"name": "chess"}],
        },
        {"armband": "", "team": None, "contracts": [], "skills": []},
    ]
    captains = Captain.objects.order_by("pk").values("armband")
    assert json.loads(captains.json(nested=nested)) == expected
    for _ in range(3):
        assert json.loads(run(lambda: captains.ajson(nested=nested))) == expected


@isolate_apps("tests.library")
def test_a_key_whose_name_is_key(run):
    class InLibrary(Model):
        objects = AsyncManager()

        class Meta:
            abstract = True
            app_label = "library"

    class Owner(InLibrary):
        pass

    class Token(InLibrary):
        key = CharField(max_length=20, primary_key=True)
        owner = OneToOneField(Owner, CASCADE, related_name="token")

    class Use(InLibrary):
        token = ForeignKey(Token, CASCADE, related_name="uses")

    models = [Owner, Token, Use]
    with connection.schema_editor() as editor:
        for model in models:
            editor.create_model(model)
    try:
        token = Token.objects.create(key="secret", owner=Owner.objects.create())
        use = Use.objects.create(token=token)
        nested = {"token": Token.objects.values("owner"), "token__uses": Use.objects.values("pk")}
        inner = {"owner": token.owner_id, "uses": [{"pk": use.pk}]}
        expected = [{"pk": token.owner_id, "token": inner}]
        agree(Owner.objects.values("pk").all, nested, expected, run)
    finally:
        with connection.schema_editor() as editor:
            for model in reversed(models):
                editor.delete_model(model)


def test_a_document_that_is_null_is_no_value(run):
    """JSON's null is read as None, as NULL is."""
    region = Region.objects.create(name="north", facts=Value(None, JSONField()))
    inn = Building.objects.create(name="inn", region=region)
    try:
        queryset = Building.objects.filter(pk=inn.pk).values("region__facts", "name")
        assert list(queryset) == [{"region__facts": None, "name": "inn"}]
        agree(queryset.all, True, [{"region": None, "name": "inn"}], run)
    finally:
        inn.delete()
        region.delete()


class EntriesElsewhere:
    def db_for_read(self, model, **hints):
        return "other" if model is Entry else None


def test_related_rows_are_where_the_routers_say(scratch, run):
    """As those of a prefetch are; otherwise in the database of the rows that they will be in."""
    for using, owner in (("default", "Ada"), ("other", "Bo")):
        account = Account.objects.using(using).create(owner=owner)
        Entry.objects.using(using).create(account=account, amount=len(owner))
    nested = {"entries": Entry.objects.values("amount")}
    for using, amount in (("default", 3), ("other", 2)):
        make = Account.objects.using(using).values("id").all
        agree(make, nested, [{"id": 1, "entries": [{"amount": amount}]}], run)
        with routed(EntriesElsewhere()):
            agree(make, nested, [{"id": 1, "entries": [{"amount": 2}]}], run)


def test_slices(run, monkeypatch):
    monkeypatch.setattr(fetching, "SLICE", 2)
    for related in (NAMED, RELATED):
        for case in related:
            make, *nested, expected = related[case]
            agree(make, nested[0] if nested else True, expected(), run)


def test_relations_that_do_not_depend_on_each_other_go_together(run, monkeypatch):
    """Three statements for the authors, their books and friends, and the books' tags."""
    nested = {"books": TITLES, "friends": Author.objects.values("name"), "books__tags": LABELS}
    queryset = Author.objects.values("name")
    messages = []
    together, alone = direct.execute_together, direct.execute

    async def counted_together(using, statements):
        messages.append(len(statements))
        return await together(using, statements)

    async def counted(using, statement, *how):
        messages.append(1)
        return await alone(using, statement, *how)

    monkeypatch.setattr(direct, "execute_together", counted_together)
    monkeypatch.setattr(direct, "execute", counted)

    async def ask():
        for _ in range(4):
            del messages[:]
            await queryset.ajson(nested=nested)

    run(ask)
    assert messages == [1, 2, 1]
