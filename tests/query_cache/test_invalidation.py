"""What changes behind the cache's back: each query is asked before, meanwhile and after.

What Django's sync methods answer at each time is what the async ones have to.
"""

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from unittest import mock

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import FieldDoesNotExist
from django.db import connection, models, transaction
from django.db.models import Exists, F, Func, Model, QuerySet, Subquery
from django.db.models.functions import Lower
from django.db.models.lookups import IContains
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler
from django.utils import translation

from tests.library.models import Author, Book, Tag
from tests.support.answers import fingerprint
from turbo_orm import AsyncManager, AsyncQuerySet, cache_info
from turbo_orm.query_cache import tracing

pytestmark = pytest.mark.usefixtures("library", "empty_cache")


def outcome(function):
    try:
        return fingerprint(function())
    except Exception as exc:
        return type(exc), str(exc)


@pytest.fixture
def asked(run):
    """Ask a queryset more than once, so that what is cached answers, and compare with Django."""

    def ask(make):
        for _ in range(3):
            for name in ("count", "exists", "first"):
                expected = outcome(lambda name=name: getattr(make(), name)())
                assert outcome(lambda name=name: run(getattr(make(), f"a{name}"))) == expected
            expected = outcome(lambda: list(make()))
            assert outcome(lambda: run(make().alist)) == expected
        return expected

    return ask


# Content types


@contextmanager
def other_content_types():
    """Give the models other content types, as a flush or another tenant's schema does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text, attname FROM pg_constraint "
            "JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1] "
            "WHERE contype = 'f' AND confrelid = 'django_content_type'::regclass"
        )
        keys = cursor.fetchall()

    def move(sign):
        with transaction.atomic(), connection.cursor() as cursor:
            for table, column in [("django_content_type", "id"), *keys]:
                cursor.execute(f"UPDATE {table} SET {column} = {column} + %s", [1000 * sign])
        ContentType.objects.clear_cache()

    assert keys
    move(1)
    try:
        yield
    finally:
        move(-1)


GENERIC = {
    "filter": lambda: Book.objects.filter(notes__text="note on 0"),
    "exclude": lambda: Book.objects.exclude(notes__text="note on 0"),
    "annotation": lambda: Book.objects.annotate(n=models.Count("notes")).filter(n__gt=0),
    "ordering": lambda: Book.objects.order_by("notes__text", "pk"),
    "over a relation": lambda: Author.objects.filter(books__notes__text="note on 0").distinct(),
    "values": lambda: Book.objects.values_list("pk", "notes__text").order_by("pk", "notes__text"),
    "null": lambda: Book.objects.filter(notes__isnull=True),
}


@pytest.mark.parametrize("case", GENERIC)
def test_content_types_of_other_keys(asked, case):
    before = asked(GENERIC[case])
    with other_content_types():
        assert asked(GENERIC[case]) == before
    assert asked(GENERIC[case]) == before


@pytest.mark.skipif(tracing.VERIFIES, reason="Hits are the same")
def test_statements_with_a_content_type_are_cached(run):
    async def hits():
        for _ in range(3):
            await GENERIC["filter"]().alist()
        before = cache_info().hits
        await GENERIC["filter"]().alist()
        return cache_info().hits - before

    assert run(hits) == 1


# The class of a queryset


class Thick(AsyncQuerySet):
    def filter(self, *args, **kwargs):
        return super().filter(*args, **kwargs).order_by("-pages", "pk")

    def count(self):
        return -1


class OfDjango(QuerySet):
    def filter(self, *args, **kwargs):
        return super().filter(*args, pages__gt=0, **kwargs)


@pytest.mark.parametrize("before", [False, True], ids=["filtered later", "filtered before"])
def test_a_queryset_that_is_given_another_class(asked, before):
    def plain():
        return Book.objects.filter(pages__gte=0)

    def thick():
        queryset = plain() if before else Book.objects.all()
        queryset.__class__ = Thick
        return queryset.filter(pages__gte=0)

    asked(plain)
    asked(thick)
    asked(plain)
    assert [book.pages for book in thick()] == sorted(
        [book.pages for book in plain()], reverse=True
    )


def test_a_queryset_that_is_given_a_class_of_djangos(asked):
    def other():
        queryset = Book.objects.filter(pages__gte=0)
        queryset.__class__ = OfDjango
        return queryset

    asked(lambda: Book.objects.filter(pages__gte=0))
    assert isinstance(other(), OfDjango)
    assert fingerprint(list(other().filter(pk__gt=0))) == fingerprint(
        list(Book.objects.filter(pages__gte=0).filter(pages__gt=0, pk__gt=0))
    )


# Models


@contextmanager
def a_field_more():
    with connection.schema_editor() as editor:
        field = models.IntegerField(null=True)
        Tag.add_to_class("extra", field)
        editor.add_field(Tag, field)
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            editor.remove_field(Tag, field)
        Tag._meta.local_fields.remove(field)
        Tag._meta._expire_cache()
        del Tag.extra


def test_a_field_that_is_added(asked, run):
    asked(Tag.objects.all)
    run(lambda: Tag(label="new").asave())
    with a_field_more():
        asked(Tag.objects.all)
        assert hasattr(run(Tag.objects.afirst), "extra")

        async def saved():
            tag = Tag(label="newer", extra=3)
            await tag.asave()
            return await Tag.objects.aget(extra=3)

        assert run(saved).label == "newer"
    asked(Tag.objects.all)
    with pytest.raises(FieldDoesNotExist):
        Tag._meta.get_field("extra")
    Tag.objects.filter(label__startswith="new").delete()


@contextmanager
def another_table():
    table = Tag._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE other_tags AS SELECT id, label || '!' AS label FROM {table}")
    Tag._meta.db_table = "other_tags"
    try:
        yield
    finally:
        Tag._meta.db_table = table
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE other_tags")


@contextmanager
def another_ordering():
    ordering = Author._meta.ordering
    Author._meta.ordering = ["-name"]
    try:
        yield
    finally:
        Author._meta.ordering = ordering


@contextmanager
def a_longer_ordering():
    Author._meta.ordering.insert(0, "-born")
    try:
        yield
    finally:
        del Author._meta.ordering[0]


OPTIONS = {
    "table": (Tag.objects.all, another_table),
    "table of a relation": (
        lambda: Book.objects.filter(tags__label="tag-1").order_by("pk"),
        another_table,
    ),
    "table of a subquery": (
        lambda: Book.objects.filter(tags__in=Tag.objects.filter(label="tag-1")).order_by("pk"),
        another_table,
    ),
    "ordering of a subquery": (
        lambda: Book.objects.filter(author__in=Author.objects.filter(pk__gt=1)[:2]).order_by("pk"),
        another_ordering,
    ),
    "ordering of a subquery in place": (
        lambda: Book.objects.filter(author__in=Author.objects.filter(pk__gt=1)[:2]).order_by("pk"),
        a_longer_ordering,
    ),
    "ordering": (Author.objects.all, another_ordering),
    "ordering in place": (Author.objects.all, a_longer_ordering),
    "ordering by a relation": (lambda: Book.objects.order_by("author", "pk"), another_ordering),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options_that_change(asked, case):
    make, changed = OPTIONS[case]
    before = asked(make)
    with changed():
        asked(make)
    assert asked(make) == before


@contextmanager
def a_relation_more():
    """A model that refers to tags, and whose rows are deleted with them."""

    class Remark(models.Model):
        tag = models.ForeignKey(Tag, models.CASCADE)

        class Meta:
            app_label = "library"

    with connection.schema_editor() as editor:
        editor.create_model(Remark)
    try:
        yield Remark
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Remark)
        del apps.all_models["library"]["remark"]
        apps.clear_cache()


def test_a_relation_that_is_added(run):
    async def delete(label):
        tag = await Tag.objects.acreate(label=label)
        return tag, await tag.adelete()

    for label in ("a", "b", "c"):
        run(lambda label=label: delete(label))
    with a_relation_more() as remark:
        tag = Tag.objects.create(label="d")
        remark.objects.create(tag=tag)
        assert run(tag.adelete) == (2, {"library.Tag": 1, "library.Remark": 1})


# Lookups


class Contained(IContains):
    lookup_name = "has"


class Reversed(models.Transform):
    lookup_name = "has"
    function = "REVERSE"


def test_a_lookup_of_a_field_that_is_registered_and_unregistered(asked):
    field = Book._meta.get_field("title")

    def make():
        return Book.objects.filter(title__has="o").order_by("pk")

    asked(make)
    for lookup in (Contained, Reversed):
        field.register_lookup(lookup)
        try:
            assert isinstance(asked(make), str | list | tuple)
        finally:
            field._unregister_lookup(lookup)
        asked(make)


def test_a_lookup_of_a_field_that_takes_the_place_of_another(asked):
    field = Book._meta.get_field("title")
    asked(lambda: Book.objects.filter(title__exact="BOOK").order_by("pk"))
    with mock.patch.dict(field.__dict__):
        field.register_lookup(IContains, "exact")
        asked(lambda: Book.objects.filter(title__exact="BOOK").order_by("pk"))
        field._unregister_lookup(IContains, "exact")
    asked(lambda: Book.objects.filter(title__exact="BOOK").order_by("pk"))


# Methods that are replaced, by a package or a mock


def calls_of(owner, name):
    original = getattr(owner, name)
    return mock.patch.object(owner, name, autospec=True, side_effect=original)


REPLACED = {
    "get": (QuerySet, "get", lambda: Book.objects.aget(pk=1)),
    "count": (QuerySet, "count", lambda: Book.objects.acount()),
    "exists": (QuerySet, "exists", lambda: Book.objects.aexists()),
    "first": (QuerySet, "first", lambda: Book.objects.afirst()),
    "filter": (QuerySet, "filter", lambda: Book.objects.filter(pk=1).alist()),
    "create": (QuerySet, "create", lambda: Tag.objects.acreate(label="replaced")),
    "update": (
        QuerySet,
        "update",
        lambda: Tag.objects.filter(label="replaced").aupdate(label="y"),
    ),
    "delete": (QuerySet, "delete", lambda: Tag.objects.filter(label="replaced").adelete()),
    "execute_sql": (SQLCompiler, "execute_sql", lambda: Book.objects.acount()),
    "as_sql": (SQLCompiler, "as_sql", lambda: Book.objects.acount()),
    "build_filter": (Query, "build_filter", lambda: Book.objects.filter(pk=1).alist()),
    "union": (
        QuerySet,
        "union",
        lambda: Book.objects.filter(pk=1).union(Book.objects.filter(pk=2)).alist(),
    ),
    "a queryset as a value": (
        QuerySet,
        "resolve_expression",
        lambda: Book.objects.filter(pk__in=Book.objects.filter(pk=1)).alist(),
    ),
    "a subquery": (
        Subquery,
        "as_sql",
        lambda: Book.objects.filter(Exists(Book.objects.filter(pk=1))).alist(),
    ),
    "a condition": (
        Exists,
        "__init__",
        lambda: Book.objects.filter(Exists(Book.objects.filter(pk=1))).alist(),
    ),
    "save": (Model, "save", lambda: Tag(label="replaced").asave()),
    "save_base": (Model, "save_base", lambda: Tag(label="replaced").asave()),
    "save of the model": (Tag, "save", lambda: Tag(label="replaced").asave()),
    "__init__": (Model, "__init__", lambda: Book.objects.filter(pk=1).alist()),
    "__init__ of the model": (Book, "__init__", lambda: Book.objects.filter(pk=1).alist()),
}


@pytest.mark.parametrize("case", REPLACED)
def test_a_method_that_is_replaced_is_called(run, case):
    owner, name, ask = REPLACED[case]

    def again():
        answer = fingerprint(run(ask))
        Tag.objects.filter(label="replaced").delete()
        return answer

    for _ in range(3):
        again()
    for _ in range(2):
        with calls_of(owner, name) as method:
            run(ask)
            before = method.call_count
            assert before
            Tag.objects.filter(label="replaced").delete()
            before = method.call_count
            run(ask)
            assert method.call_count > before
        Tag.objects.filter(label="replaced").delete()
        again()


def test_from_db_that_is_replaced(run):
    original = Model.from_db.__func__
    seen = []

    def from_db(cls, *args, **kwargs):
        seen.append(cls)
        return original(cls, *args, **kwargs)

    for _ in range(3):
        run(lambda: Book.objects.aget(pk=1))
    with mock.patch.object(Model, "from_db", classmethod(from_db)):
        run(lambda: Book.objects.aget(pk=1))
        run(lambda: Book.objects.aget(pk=1))
    assert seen == [Book, Book]
    run(lambda: Book.objects.aget(pk=1))
    assert seen == [Book, Book]


@pytest.mark.skipif(tracing.VERIFIES, reason="Hits are the same")
def test_hits_come_back_when_a_method_does(run):
    async def hits():
        for _ in range(3):
            await Book.objects.acount()
        before = cache_info().hits
        await Book.objects.acount()
        return cache_info().hits - before

    assert run(hits) == 1
    with calls_of(SQLCompiler, "as_sql"):
        assert run(hits) == 0
        assert "as_sql" in next(reason for reason in cache_info().bypasses if "as_sql" in reason)
    assert run(hits) == 1


# Code of a third party that reads something global

current_tenant = threading.local()
current_suffix = ContextVar("suffix", default="")


class TenantField(models.CharField):
    """Its column depends on the thread."""

    def select_format(self, compiler, sql, params):
        return f"{sql} || %s", [*params, getattr(current_tenant, "name", "")]


class InLanguage(Func):
    """Its SQL depends on the language. Looks like Django's own."""

    function = "LOWER"

    def as_sql(self, compiler, connection, **context):
        sql, params = super().as_sql(compiler, connection, **context)
        return f"{sql} || %s", [*params, translation.get_language()]


InLanguage.__module__ = "django.db.models.functions.text"


class InContext(InLanguage):
    def as_sql(self, compiler, connection, **context):
        sql, params = (
            Lower("title").resolve_expression(compiler.query).as_sql(compiler, connection)
        )
        return f"{sql} || %s", [*params, current_suffix.get()]


InContext.__module__ = "django.db.models.functions.text"


@pytest.mark.parametrize("kind", [InLanguage, InContext])
def test_an_expression_that_reads_a_context(run, kind):
    def make():
        return Book.objects.annotate(read=kind(F("title"))).values_list("read", flat=True)

    def expected():
        return sorted(make())

    found = []
    for language in ("en", "de", "en"):
        token = current_suffix.set(language)
        try:
            with translation.override(language):
                for _ in range(3):
                    found.append(sorted(run(make().alist)))
                    assert found[-1] == expected()
        finally:
            current_suffix.reset(token)
    assert found[0] != found[3]


def test_a_field_that_reads_a_thread_local(run):
    class Scoped(models.Model):
        label = TenantField(max_length=50)

        objects = AsyncManager()

        class Meta:
            app_label = "library"
            db_table = Tag._meta.db_table
            managed = False

    try:
        for name in ("a", "b"):
            current_tenant.name = name
            for _ in range(3):
                found = run(lambda: Scoped.objects.order_by("pk").alist())
                assert {each.label[-1] for each in found} == {name}
                for queryset in (Scoped.objects.all(), Scoped.objects.order_by("pk")[:3]):
                    last = run(lambda: queryset.aaggregate(x=models.Max("label")))  # noqa: B023
                    assert last["x"][-1] == name
    finally:
        del apps.all_models["library"]["scoped"]
        apps.clear_cache()


class Unordered(Func):
    function = "LENGTH"

    def as_sql(self, *args, **kwargs):
        return super().as_sql(*args, **kwargs)


def test_an_ordering_by_an_expression_of_a_third_party_is_djangos(run):
    ordering = Author._meta.ordering
    Author._meta.ordering = [Unordered("name")]
    try:
        for _ in range(3):
            run(Author.objects.alist)
        refusals = Author.objects.all()._cached.entry.refusals.values()
        assert [each.reason.startswith("library.Author is ordered by") for each in refusals] == [
            True
        ]
    finally:
        Author._meta.ordering = ordering


# What another package puts in the place of what fetches the rows: a cache of results


def result_cache(original, seen):
    """Return a ``_fetch_all()`` as of cacheops: it answers for querysets without results."""

    def _fetch_all(self):
        if self._result_cache is None:
            key = str(self.query)
            if key in seen:
                self._result_cache = list(seen[key])
            else:
                original(self)
                seen[key] = list(self._result_cache)
        original(self)

    return _fetch_all


ROWS = {
    "instances": lambda: Book.objects.order_by("pk"),
    "values": lambda: Book.objects.values_list("pk", flat=True).order_by("pk"),
    "prefetched": lambda: Book.objects.prefetch_related("tags").order_by("pk"),
    "of a manager of Django's": lambda: ContentType.objects.order_by("pk"),
}


@pytest.mark.parametrize("case", ROWS)
def test_a_cache_of_results_in_the_place_of_fetch_all(run, case):
    seen = {}
    expected = fingerprint(list(ROWS[case]()))
    is_async = isinstance(ROWS[case](), AsyncQuerySet)

    def ask():
        yield fingerprint(list(ROWS[case]()))
        if is_async:
            yield fingerprint(run(lambda: ROWS[case]().alist()))

    for _ in range(3):
        assert list(ask()) == [expected] * (1 + is_async)
    with mock.patch.object(QuerySet, "_fetch_all", result_cache(QuerySet._fetch_all, seen)):
        assert list(ask()) == [expected] * (1 + is_async)
        assert seen
        for key in seen:
            seen[key] = []
        empty = fingerprint([])
        assert list(ask()) == [empty] * (1 + is_async)
    assert list(ask()) == [expected] * (1 + is_async)


def test_an_iterator_that_is_replaced(run):
    original = QuerySet._iterator
    seen = []

    def _iterator(self, *args, **kwargs):
        seen.append(self.model)
        return original(self, *args, **kwargs)

    async def pks():
        return [book.pk async for book in Book.objects.order_by("pk").aiterator()]

    expected = run(pks)
    with mock.patch.object(QuerySet, "_iterator", _iterator):
        assert run(pks) == expected
        assert [book.pk for book in Book.objects.order_by("pk").iterator()] == expected
    assert seen == [Book, Book]
    assert run(pks) == expected
    assert seen == [Book, Book]
