"""What an error says that plain code of an event loop gets where it queries unawares."""

import asyncio
import pickle
from contextlib import suppress

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.cache import caches
from django.core.exceptions import SynchronousOnlyOperation
from django.core.paginator import Paginator
from django.db import transaction
from django.forms import ModelForm
from django.shortcuts import get_object_or_404
from django.template import Context, Engine
from django.utils.functional import SimpleLazyObject
from rest_framework.serializers import ModelSerializer

from tests.library.models import Author, Book, Note, PrintedBook, Profile
from tests.plain.models import Volume

pytestmark = pytest.mark.usefixtures("library")


class BookForm(ModelForm):
    class Meta:
        model = Book
        fields = ("title", "author")


class ProfileSerializer(ModelSerializer):
    class Meta:
        model = Profile
        fields = ("author", "motto")


def render(text, **context):
    return Engine().from_string(text).render(Context(context))


def named(book):
    return f"{book.title} by {book.author.name}"


async def a_book():
    return await Book.objects.alatest("pk")


async def an_author():
    return await Author.objects.aget(name="Ada")


async def a_note():
    return await Note.objects.afirst()


async def a_title():
    return await Book.objects.only("title").alatest("pk")


async def a_printed_book():
    return await PrintedBook.objects.defer("pages").alatest("pk")


async def a_profile():
    return await Profile.objects.afirst()


# What is loaded, what is done with it, and what the error has to name: what was touched, and what
# to write instead.
CASES = {
    "a foreign key": (
        a_book,
        lambda book: book.author,
        [
            "Book.author is not loaded",
            '`select_related("author")`',
            '`prefetch_related("author")`',
            'aprefetch_related_objects([book], "author")',
            "run_sync(",
        ],
    ),
    "a foreign key in a function of one's own": (
        a_book,
        named,
        ["Book.author is not loaded", '`select_related("author")`'],
    ),
    "a one-to-one relation": (
        a_profile,
        lambda profile: profile.author,
        ["Profile.author is not loaded", '`select_related("author")`'],
    ),
    "the other side of a one-to-one relation": (
        an_author,
        lambda author: author.profile,
        ["Author.profile is not loaded", '`select_related("profile")`'],
    ),
    "a field that only() left out": (
        a_title,
        lambda book: book.pages,
        ["Book.pages is deferred", '`await book.arefresh_from_db(fields=["pages"])`'],
    ),
    "the key of a relation that only() left out": (
        a_title,
        lambda book: book.author,
        ["Book.author is not loaded", '`select_related("author")`'],
    ),
    "a field that defer() left out, of a proxy": (
        a_printed_book,
        lambda book: book.pages,
        ["PrintedBook.pages is deferred", "printedbook.arefresh_from_db"],
    ),
    "a generic foreign key": (
        a_note,
        lambda note: note.target,
        ["Note.target is not loaded", '`prefetch_related("target")`'],
    ),
    "the loop over a relation": (
        an_author,
        lambda author: [book.title for book in author.books.all()],
        ["of Book (Author.books)", "`await queryset.alist()`", "async for", '"books"'],
    ),
    "the loop over one of two relations to a model": (
        an_author,
        lambda author: [book.title for book in author.translated.all()],
        ["of Book (Author.translated)", '`prefetch_related("translated")`'],
    ),
    "the loop over a many-to-many relation": (
        a_book,
        lambda book: list(book.tags.all()),
        ["of Tag (Book.tags)", '`prefetch_related("tags")`'],
    ),
    "the loop over a queryset": (
        a_book,
        lambda book: list(Book.objects.filter(pages__lt=book.pages)),
        ["AsyncQuerySet of Book was evaluated", "`await queryset.alist()`", "`async for`"],
    ),
    "the loop over values": (
        a_book,
        lambda book: dict(Book.objects.values_list("pk", "title")),
        ["AsyncQuerySet of Book was evaluated", "`await queryset.alist()`"],
    ),
    "the loop over an iterator": (
        a_book,
        lambda book: list(Book.objects.iterator()),
        ["AsyncQuerySet of Book was evaluated", "queryset.aiterator()"],
    ),
    "a raw queryset": (
        a_book,
        lambda book: list(Book.objects.raw("SELECT * FROM library_book")),
        ["AsyncRawQuerySet of Book was evaluated", "`await queryset.alist()`"],
    ),
    "a queryset of Django's": (
        a_book,
        lambda book: list(Volume.objects.all()),
        ["VolumeQuerySet of Volume was evaluated", "`async for`"],
    ),
    "len()": (
        a_book,
        lambda book: len(Book.objects.all()),
        ["of Book was evaluated", "`await queryset.acount()`"],
    ),
    "bool()": (
        an_author,
        lambda author: author.books.all() or None,
        ["of Book (Author.books)", "`await queryset.aexists()`"],
    ),
    "an index": (
        an_author,
        lambda author: author.books.all()[0],
        ["of Book (Author.books)", "`await queryset.afirst()`"],
    ),
    "repr()": (a_book, lambda book: repr(Book.objects.all()), ["of Book was evaluated"]),
    "a pickle": (a_book, lambda book: pickle.dumps(Book.objects.all()), ["of Book was evaluated"]),
    "get()": (
        a_book,
        lambda book: Book.objects.get(pk=book.pk),
        ["AsyncQuerySet.get() of Book queries", "`await ….aget(…)`"],
    ),
    "count() of a relation": (
        an_author,
        lambda author: author.books.count(),
        ["AsyncQuerySet.count() of Book queries", "`await ….acount(…)`"],
    ),
    "add() of a relation": (
        a_book,
        lambda book: book.tags.add(1),
        ["ManyRelatedManager.add() queries", "`await ….aadd(…)`"],
    ),
    "save()": (
        a_book,
        lambda book: book.save(),
        ["Book.save() queries", "`await ….asave(…)`"],
    ),
    "a function that has an async form": (
        a_book,
        lambda book: get_object_or_404(Book, pk=book.pk),
        ["get_object_or_404() queries", "`await aget_object_or_404(…)`"],
    ),
    "validation": (
        a_profile,
        lambda profile: profile.full_clean(),
        ["Profile.full_clean() queries", "`await turbo_orm.run_sync(Profile.full_clean, …)`"],
    ),
    "a form": (
        a_book,
        lambda book: BookForm({"title": "t", "author": book.author_id}).is_valid(),
        ["BookForm.is_valid() queries", "run_sync(BookForm.is_valid"],
    ),
    "a page": (
        a_book,
        lambda book: Paginator(Book.objects.order_by("pk"), 5).page(1),
        ["Paginator.page", "run_sync("],
    ),
    "a serializer": (
        a_book,
        lambda book: ProfileSerializer(data={"author": 1}).is_valid(),
        ["ProfileSerializer.is_valid() queries", "run_sync(ProfileSerializer.is_valid"],
    ),
    "transaction.atomic()": (
        a_book,
        lambda book: transaction.atomic().__enter__(),
        ["Atomic.__enter__()", "`async with async_atomic():`"],
    ),
    "an attribute in a template": (
        a_book,
        lambda book: render("{{ book.author.name }}", book=book),
        [
            "Book.author is not loaded while the template of a string is rendered",
            '`select_related("author")`',
            "run_sync(render",
        ],
    ),
    "a relation in a template": (
        an_author,
        lambda author: render("{% for b in author.books.all %}{{ b }}{% endfor %}", author=author),
        ["of Book (Author.books)", "template", "run_sync(render"],
    ),
    "the content type of a model": (
        a_note,
        lambda note: (
            ContentType.objects.clear_cache(),
            ContentType.objects.get_for_model(Book),
        ),
        ["The content type of Book", "run_sync(ContentType.objects"],
    ),
    "a cache that pickles a queryset": (
        a_book,
        lambda book: caches["default"].set("books", Book.objects.all()),
        ["of Book was evaluated", "LocMemCache.set()", "`await queryset.alist()`", "….aset(…)"],
    ),
    "a lazy object": (
        a_book,
        lambda book: SimpleLazyObject(lambda: Book.objects.get(pk=book.pk)).title,
        ["AsyncQuerySet.get() of Book", "`await ….aget(…)`"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_error_names_what_was_touched_and_the_cure(case, run):
    load, work, words = CASES[case]

    async def touch():
        loaded = await load()
        with pytest.raises(SynchronousOnlyOperation) as caught:
            work(loaded)
        return str(caught.value)

    said = run(touch)
    for word in words:
        assert word in said


def test_the_decorator_is_a_cure_where_a_coroutine_touches_what_is_lazy(run):
    async def touch(work):
        book = await a_book()
        with pytest.raises(SynchronousOnlyOperation) as caught:
            work(book)
        return str(caught.value)

    said = run(lambda: touch(named))
    assert said.endswith(" or decorate touch() with `@turbo_orm.lazy_loading`.")
    # It has an async form.
    assert "lazy_loading" not in run(lambda: touch(lambda book: book.save()))

    async def call_soon():
        said = asyncio.get_running_loop().create_future()
        book = await a_book()

        def call():
            with pytest.raises(SynchronousOnlyOperation) as caught:
                _ = book.author
            said.set_result(str(caught.value))

        asyncio.get_running_loop().call_soon(call)
        return await said

    # There is nothing to decorate.
    assert "lazy_loading" not in run(call_soon)


CURES = {
    "select_related": lambda: Book.objects.select_related("author").alatest("pk"),
    "prefetch_related": lambda: Book.objects.prefetch_related("author").alatest("pk"),
}


@pytest.mark.parametrize("cure", CURES)
def test_the_cures_of_a_foreign_key(cure, run):
    async def ask():
        return (await CURES[cure]()).author.name

    assert run(ask) == Book.objects.latest("pk").author.name


def test_a_callback_of_the_loop_is_no_users_code(run):
    """The frames of the event loop are not looked at, be it run by a test or by a view."""

    async def ask():
        book = await a_book()
        found = asyncio.get_running_loop().create_future()

        def touch():
            try:
                _ = book.author
            except SynchronousOnlyOperation as exc:
                found.set_result(str(exc))

        asyncio.get_running_loop().call_soon(touch)
        return await found

    assert "Book.author is not loaded" in run(ask)


def test_a_model_that_cannot_be_printed_is_named(run):
    class Unprintable(Book):
        class Meta:
            proxy = True
            app_label = "library"

        def __repr__(self):
            raise AssertionError

        __str__ = __repr__

    async def ask():
        with suppress(Book.DoesNotExist):
            book = await Unprintable.objects.alatest("pk")
            with pytest.raises(SynchronousOnlyOperation, match=r"Unprintable\.author"):
                _ = book.author

    run(ask)
