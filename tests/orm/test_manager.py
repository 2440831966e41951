"""Managers and querysets as Django's: what they are, and that nothing about them is different."""

import copy
import inspect
import pickle

import pytest
from django.apps import apps
from django.db import models
from django.db.models import Manager, Prefetch, QuerySet
from django.test.utils import isolate_apps

from tests.library import models as library_models
from tests.library.models import (
    Account,
    Author,
    Book,
    BookManager,
    Dated,
    Event,
    Note,
    PagesQuerySet,
    Place,
    Player,
    PrintedBook,
    Profile,
    Restaurant,
    Tag,
)
from turbo_orm import AsyncManager, AsyncQuerySet, AsyncRawQuerySet
from turbo_orm.orm.json_queryset import JsonQuerySet

# The classes


def overridden():
    """Yield the names under which both querysets have something of their own."""
    return sorted(
        name
        for name in vars(AsyncQuerySet)
        if hasattr(QuerySet, name) and not name.startswith("__")
    )


def is_terminal(method):
    return inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)


TERMINALS = sorted(name for name, _ in inspect.getmembers(QuerySet, is_terminal))


def test_the_classes_are_djangos():
    assert issubclass(AsyncManager, Manager)
    assert issubclass(AsyncQuerySet, QuerySet)
    assert isinstance(Book.objects, Manager)
    assert type(Book.objects.all()) is AsyncQuerySet
    assert isinstance(Book.objects.raw("SELECT 1"), AsyncRawQuerySet)


@pytest.mark.parametrize("name", overridden())
def test_signatures_are_djangos(name):
    ours, of_django = getattr(AsyncQuerySet, name), getattr(QuerySet, name)
    if not callable(of_django):
        pytest.fail(f"{name} is not a method in Django")
    assert parameters(ours) == parameters(of_django)
    assert is_terminal(ours) == is_terminal(of_django)
    assert inspect.isasyncgenfunction(ours) == inspect.isasyncgenfunction(of_django)


def parameters(method):
    return [
        (parameter.name, parameter.kind, parameter.default)
        for parameter in inspect.signature(method).parameters.values()
    ]


ATTRIBUTES = {
    "alters_data",
    "queryset_only",
    "do_not_call_in_templates",
    "silent_variable_failure",
}


@pytest.mark.parametrize("name", [name for name in dir(QuerySet) if not name.startswith("__")])
def test_attributes_of_methods_are_djangos(name):
    """Templates and managers go by them."""
    ours, of_django = getattr(AsyncQuerySet, name), getattr(QuerySet, name)
    assert attributes(ours) == attributes(of_django)


def attributes(method):
    return {name: getattr(method, name) for name in ATTRIBUTES if hasattr(method, name)}


def test_what_is_not_djangos_is_documented_and_does_not_write():
    own = [
        name
        for each in (AsyncQuerySet, JsonQuerySet)
        for name in vars(each)
        if not hasattr(QuerySet, name) and not name.startswith("_")
    ]
    assert own == ["alist", "json", "ajson", "ajson_chunks"]
    assert not hasattr(AsyncQuerySet.alist, "alters_data")
    for name in [*own, *TERMINALS]:
        assert inspect.getdoc(getattr(AsyncQuerySet, name)), name


@pytest.mark.parametrize("name", ["alist", *TERMINALS])
def test_a_manager_has_the_terminals_of_its_queryset(name):
    queryset_only = getattr(getattr(AsyncQuerySet, name), "queryset_only", False)
    assert hasattr(Book.objects, name) is not queryset_only
    assert hasattr(PrintedBook.printed, name) is not queryset_only
    assert hasattr(Author(pk=1).books, name) is not queryset_only


def test_a_manager_has_what_djangos_has():
    missing = set(dir(Manager)) - set(dir(AsyncManager))
    assert not missing


def test_attributes_of_manager_methods_are_djangos():
    for name in dir(Manager):
        if not name.startswith("__"):
            ours, of_django = getattr(AsyncManager, name), getattr(Manager, name)
            assert attributes(ours) == attributes(of_django), name


RELATED = {
    "reverse foreign key": lambda: Author(pk=1).books,
    "nullable reverse foreign key": lambda: Author(pk=1).translated,
    "many to many": lambda: Book(pk=1).tags,
    "many to many, reverse": lambda: Tag(pk=1).books,
    "many to many, self": lambda: Author(pk=1).friends,
    "many to many, through": lambda: Player(pk=1).mentors,
    "generic": lambda: Book(pk=1).notes,
}


@pytest.mark.parametrize("case", RELATED)
def test_related_managers_mark_what_alters_data(case):
    """Templates must not call it."""
    manager = type(RELATED[case]())
    for name in ("aadd", "acreate", "aset", "aremove", "aclear"):
        if hasattr(manager, name):
            sync = getattr(manager, name.removeprefix("a"))
            assert attributes(getattr(manager, name)) == attributes(sync) == {"alters_data": True}


# Managers on models


@isolate_apps("tests.library")
def structures(manager_class, queryset_class):
    """Say what Django makes of managers in every kind of model, with these classes."""

    class QuerySetOfOnesOwn(queryset_class):
        def few(self):
            return self[:3]

        def hidden(self):
            return self

        hidden.queryset_only = True

        def _private(self):
            return self

        def _shown(self):
            return self

        _shown.queryset_only = False

    class Filtered(manager_class.from_queryset(QuerySetOfOnesOwn)):
        def get_queryset(self):
            return super().get_queryset().exclude(name="")

    class Base(models.Model):
        name = models.CharField(max_length=10)
        objects = manager_class()
        filtered = Filtered()

        class Meta:
            app_label = "library"
            abstract = True

    class Other(models.Model):
        others = manager_class()

        class Meta:
            app_label = "library"
            abstract = True

    class Child(Base):
        class Meta:
            app_label = "library"

    class OwnDefault(Base):
        first = QuerySetOfOnesOwn.as_manager()

        class Meta:
            app_label = "library"

    class Two(Base, Other):
        class Meta:
            app_label = "library"

    class NamedDefault(Base):
        class Meta:
            app_label = "library"
            default_manager_name = "filtered"
            base_manager_name = "objects"

    class Grandchild(Child):
        class Meta:
            app_label = "library"

    class Proxy(Child):
        proxied = Filtered()

        class Meta:
            app_label = "library"
            proxy = True

    class Removed(Base):
        filtered = None

        class Meta:
            app_label = "library"

    found = {}
    for model in (Child, OwnDefault, Two, NamedDefault, Grandchild, Proxy, Removed):
        found[model.__name__] = {
            "managers": [
                (manager.name, shape(type(manager)), manager.model.__name__, str(manager))
                for manager in model._meta.managers
            ],
            "default": model._default_manager.name,
            "base": (model._base_manager.name, shape(type(model._base_manager))),
            "auto created": [manager.auto_created for manager in model._meta.managers],
            "few": str(model._default_manager.all()[:3].query),
            "methods": [
                hasattr(model._default_manager, name)
                for name in ("few", "hidden", "_private", "_shown")
            ],
        }
    return found


def shape(kind):
    """Name a class and those that it derives from, as if ours were Django's."""
    names = [base.__name__ for base in kind.__mro__ if base is not AsyncManager]
    return [name.removeprefix("Async") for name in names]


def test_managers_of_every_kind_of_model_are_as_djangos():
    assert structures(AsyncManager, AsyncQuerySet) == structures(Manager, QuerySet)


def test_the_querysets_of_every_kind_of_manager():
    assert type(PrintedBook.printed.all()) is PagesQuerySet
    assert type(PrintedBook.printed.thick()) is PagesQuerySet
    assert type(PrintedBook.by_pages.all()) is PagesQuerySet
    assert type(PrintedBook.objects.all()) is AsyncQuerySet
    assert isinstance(PrintedBook.by_pages, AsyncManager)
    assert isinstance(PrintedBook.printed, BookManager)
    assert PrintedBook.printed.all().model is PrintedBook


def test_a_manager_from_an_abstract_base():
    assert isinstance(Event.objects, AsyncManager)
    assert Event.objects.model is Event
    with pytest.raises(AttributeError, match="abstract"):
        _ = Dated.objects


def test_a_manager_of_a_child_with_a_table_of_its_own():
    assert Restaurant.objects.model is Restaurant
    assert Place.objects.model is Place


def test_a_manager_is_not_accessible_from_instances():
    with pytest.raises(AttributeError, match="isn't accessible via Book instances"):
        _ = Book().objects


def test_db_manager_and_using():
    assert Book.objects.db_manager("other").all().db == "other"
    assert Book.objects.using("other").filter(pages=1).db == "other"


def test_generic_classes_at_run_time():
    assert AsyncManager["Book"] is AsyncManager
    assert AsyncQuerySet["Book", "Book"] is AsyncQuerySet


KNOWN = [
    lambda manager: manager.all(),
    lambda manager: manager.order_by("pages"),
    lambda manager: manager.order_by("-pk").using("other"),
    lambda manager: manager.none(),
    lambda manager: manager.values("author").annotate(n=models.Count("pk")),
]


@pytest.mark.parametrize("make", KNOWN)
def test_what_a_queryset_says_of_itself(make):
    of_django = Manager()
    of_django.model = Book
    ours, expected = make(Book.objects), make(of_django)
    for name in ("db", "ordered", "totally_ordered"):
        # A later Django has more of them.
        assert getattr(ours, name, None) == getattr(expected, name, None), name
    assert type(ours.query) is type(expected.query)
    assert ours.query.is_empty() == expected.query.is_empty()
    assert ours.query.is_empty() or str(ours.query) == str(expected.query)


def test_a_queryset_is_an_expression():
    query = Book.objects.all().query
    inner = Author.objects.filter(name="Ada").values("pk")
    resolved, expected = (
        queryset.resolve_expression(query) for queryset in (inner, QuerySet(query=inner.query))
    )
    assert str(resolved) == str(expected)
    assert resolved.subquery


def test_what_django_asks_of_a_manager():
    assert Book.objects.check() == []
    for manager_class in (Manager, AsyncManager):

        class Holder(models.Model):
            class Meta:
                app_label = "library"
                abstract = True

        manager = manager_class()
        manager.contribute_to_class(Holder, "things")
        assert (manager.name, manager.model) == ("things", Holder)
        assert Holder._meta.local_managers == [manager]


# Overriding


class Overriding(AsyncQuerySet):
    """Overrides what Django's async methods are documented to call."""

    def get(self, *args, **kwargs):
        return ("get", super().get(*args, **kwargs))

    def count(self):
        return ("count", super().count())

    def first(self):
        return ("first", super().first())

    def exists(self):
        return ("exists", super().exists())

    def create(self, **kwargs):
        return ("create", super().create(**kwargs))

    def update(self, **kwargs):
        return ("update", super().update(**kwargs))

    def delete(self):
        return ("delete", super().delete())

    def bulk_create(self, objs, *args, **kwargs):
        return ("bulk_create", super().bulk_create(objs, *args, **kwargs))

    def in_bulk(self, *args, **kwargs):
        return ("in_bulk", super().in_bulk(*args, **kwargs))

    def aggregate(self, *args, **kwargs):
        return ("aggregate", super().aggregate(*args, **kwargs))


CALLS = {
    "get": ([], {"owner": "Ada"}),
    "count": ([], {}),
    "first": ([], {}),
    "exists": ([], {}),
    "create": ([], {"owner": "Bo"}),
    "update": ([], {"balance": 3}),
    "delete": ([], {}),
    "bulk_create": ([[]], {}),
    "in_bulk": ([[1]], {}),
    "aggregate": ([], {"n": models.Count("pk")}),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_overridden_sync_method_is_what_the_async_one_calls(name, play):
    args, kwargs = CALLS[name]

    async def steps(orm):
        return await orm.call(Overriding(Account), name, *args, **kwargs)

    answer = play(steps, given=lambda: Account.objects.create(owner="Ada"))
    kind, _, items = answer["returned"]
    assert (kind, items[0]) == (tuple, (str, name))


def test_an_overridden_fetch_all_is_what_iteration_calls(library, run):
    class Counting(AsyncQuerySet):
        fetched = 0

        def _fetch_all(self):
            type(self).fetched += 1
            super()._fetch_all()

    async def ask():
        return [author.name async for author in Counting(Author)], await Counting(Author).alist()

    names, authors = run(ask)
    assert [author.name for author in authors] == names
    assert Counting.fetched == 2


def test_an_overridden_async_method_wins(scratch, run):
    class Shouting(AsyncQuerySet):
        async def acount(self):
            return f"{await super().acount()}!"

    class ShoutingManager(AsyncManager.from_queryset(Shouting)):
        pass

    manager = ShoutingManager()
    manager.model = Account
    assert run(manager.acount) == "0!"
    assert run(Shouting(Account).filter(balance=1).acount) == "0!"


@isolate_apps("tests.library")
def test_async_methods_of_another_base_win_over_the_bridged_ones():
    """As they do where the managers are Django's: only the model itself comes after them."""

    class Own(models.Model):
        class Meta:
            app_label = "library"
            abstract = True

        async def asave(self, *args, **kwargs):
            return "own"

    class Managed(models.Model):
        objects = AsyncManager()

        class Meta:
            app_label = "library"
            abstract = True

    class Both(Managed, Own):
        class Meta:
            app_label = "library"

    assert Both.asave is Own.asave


@isolate_apps("tests.library")
def test_a_manager_of_djangos_from_an_async_queryset(run):
    class Thing(models.Model):
        objects = Manager.from_queryset(AsyncQuerySet)()

        class Meta:
            app_label = "library"
            db_table = "library_account"

    assert type(Thing.objects.all()) is AsyncQuerySet
    assert run(lambda: Thing.objects.filter(pk=-1).aexists()) is False
    assert run(lambda: Thing.objects.alist()) == run(lambda: Thing.objects.all().alist())


# Querysets


def test_querysets_combine_to_their_own_class():
    thick, other = PrintedBook.printed.thick(), PrintedBook.printed.filter(pages=1)
    for combined in (thick & other, thick | other, thick ^ other):
        assert type(combined) is PagesQuerySet
    assert type(thick.union(other)) is PagesQuerySet
    assert type(Book.objects.all() | QuerySet(Book)) is AsyncQuerySet
    assert type(QuerySet(Book) | Book.objects.all()) is QuerySet


def test_combined_querysets_are_asked_for(library, run):
    thin, thick = Book.objects.filter(pages__lt=100), Book.objects.filter(pages__gt=400)
    expected = {book.pk for book in thin} | {book.pk for book in thick}
    assert {book.pk for book in run((thin | thick).alist)} == expected
    assert run((thin & thick).alist) == []
    assert run((thin ^ thick).acount) == len(expected)


def test_querysets_are_copied(library, run):
    queryset = Book.objects.filter(pages__gt=100).order_by("pk")
    expected = list(queryset)
    for copied in (copy.deepcopy(queryset), copy.copy(queryset.all()), queryset._chain()):
        assert type(copied) is AsyncQuerySet
        assert run(copied.alist) == expected
    assert copy.deepcopy(queryset)._result_cache is None


def test_a_pickled_queryset_keeps_its_class(library):
    loaded = pickle.loads(pickle.dumps(PrintedBook.printed.thick()))
    assert type(loaded) is PagesQuerySet
    assert list(loaded) == list(PrintedBook.printed.thick())


def test_managers_are_copied():
    for copied in (copy.copy(Book.objects), copy.deepcopy(Book.objects)):
        assert type(copied) is type(Book.objects)
        assert copied.model is Book
        assert copied == Book.objects
    assert PrintedBook.printed != PrintedBook.objects


def test_prefetches_take_either_kind_of_queryset(library, run):
    plain, ours = QuerySet(Book).filter(pages__gt=200), Book.objects.filter(pages__gt=200)
    expected = [
        {book.pk for book in author.thick}
        for author in QuerySet(Author).prefetch_related(Prefetch("books", plain, "thick"))
    ]
    assert any(expected)
    for prefetched in (plain, ours):
        queryset = Author.objects.prefetch_related(Prefetch("books", prefetched.all(), "thick"))
        found = run(queryset.alist)
        assert [{book.pk for book in author.thick} for author in found] == expected
    of_django = QuerySet(Author).prefetch_related(Prefetch("books", ours.all(), "thick"))
    assert [{book.pk for book in author.thick} for author in of_django] == expected


def test_related_managers_derive_from_the_default_manager():
    book, author = Book(pk=1, author_id=1), Author(pk=1)
    for manager in (author.books, author.friends, book.tags, book.notes, Tag(pk=1).books):
        assert isinstance(manager, AsyncManager)
        assert isinstance(manager.all(), AsyncQuerySet)
    assert not isinstance(Author(pk=1).books, BookManager)


@isolate_apps("tests.library", "django.contrib.contenttypes")
def test_related_managers_derive_from_a_manager_of_ones_own():
    class Parent(models.Model):
        class Meta:
            app_label = "library"

    class Child(models.Model):
        parent = models.ForeignKey(Parent, models.CASCADE, related_name="children")
        title = models.CharField(max_length=10)
        pages = models.IntegerField()
        objects = BookManager()
        plain = Manager()

        class Meta:
            app_label = "library"

    children = Parent(pk=1).children
    assert isinstance(children, BookManager)
    assert type(children.thick()) is PagesQuerySet
    assert type(Parent(pk=1).children(manager="objects").all()) is PagesQuerySet
    assert type(Parent(pk=1).children(manager="plain").all()) is QuerySet


@pytest.mark.parametrize("case", RELATED)
def test_another_manager_of_a_relation(case, tables):
    manager = RELATED[case]()
    another = manager(manager="objects")
    assert isinstance(another, AsyncManager)
    assert another.instance is manager.instance
    assert str(another.all().query) == str(manager.all().query)


def test_one_to_one_and_foreign_keys_have_no_managers_of_their_own(library, run):
    async def ask():
        profile = await Profile.objects.select_related("author").afirst()
        return profile.author.name, (await Author.objects.aget(name="Ada")).pk

    name, _ = run(ask)
    assert name


def test_a_generic_foreign_key_is_prefetched(library, run):
    notes = run(Note.objects.prefetch_related("target").alist)
    assert {type(note.target) for note in notes} == {Book}


def test_every_model_of_the_tests_has_an_async_manager():
    """Otherwise a test that goes by them all would leave one out."""
    without = {
        model.__name__
        for model in apps.get_app_config("library").get_models()
        if not isinstance(model._default_manager, AsyncManager)
    }
    assert without == {"Mentoring"}
    assert library_models.Mentoring.objects.auto_created
