"""N+1 queries: an attribute that fetches again and again at a line is logged."""

import asyncio
import gc
import inspect
import logging
import weakref

import pytest
from django.db import models, transaction
from django.db.models import prefetch_related_objects
from django.template import Context, Engine
from django.test import override_settings

from tests.library.models import Author, Book, Note, Profile, Restaurant, Tag
from turbo_orm import run_sync
from turbo_orm.backend import n_plus_one
from turbo_orm.bridge import await_

pytestmark = pytest.mark.usefixtures("library")

LIMIT = 4
ON = {"PATCH_DJANGO": False, "N_PLUS_ONE": LIMIT}

with_fetch_modes = pytest.mark.skipif(
    not hasattr(models, "FETCH_PEERS"), reason="Django has fetch modes since 6.1"
)


@pytest.fixture
def warned(caplog):
    """Have it on, with nothing logged. Return what is logged from then on."""
    n_plus_one._logged.clear()
    with override_settings(TURBO_ORM=ON), caplog.at_level(logging.WARNING, "turbo_orm"):
        yield lambda: [record.getMessage() for record in caplog.records]
    n_plus_one._logged.clear()


def line_of(function, text):
    """Return file and line of the first line of a function that has a text in it."""
    lines, first = inspect.getsourcelines(function)
    number = next(number for number, line in enumerate(lines) if text in line)
    return f"{inspect.getsourcefile(function)}:{first + number} "


def render(text, **context):
    return Engine().from_string(text).render(Context(context))


def books():
    return Book.objects.order_by("pk")


def authors_of(found):
    for book in found:
        _ = book.author.name


def leave_nothing():
    found = list(books()[:8])
    seen = [weakref.ref(book) for book in found]
    authors_of(found)
    del found
    assert [each() for each in seen] == [None] * 8


def notes():
    # Their content type is one that Django has in its cache by then.
    _ = Note.objects.first().target
    return list(Note.objects.order_by("pk"))


# What touches an attribute of some instances, and what is to be said of it.
CASES = {
    "a foreign key": (
        lambda: [book.author for book in books()[:8]],
        ["Book.author", '`select_related("author")` or `prefetch_related("author")`'],
    ),
    "the other side of a one-to-one relation": (
        lambda: [getattr(author, "profile", None) for author in Author.objects.all()],
        ["Author.profile", '`select_related("profile")` or `prefetch_related("profile")`'],
    ),
    "a one-to-one relation": (
        lambda: [profile.author for profile in Profile.objects.all()],
        ["Profile.author", '`select_related("author")`'],
    ),
    "a field that only() left out": (
        lambda: [book.pages for book in books().only("title")[:8]],
        ["Book.pages", '"pages" in `only()`'],
    ),
    "a field of a parent that defer() left out": (
        lambda: [place.name for place in Restaurant.objects.defer("name")],
        ["Restaurant.name", '"name" in `only()`'],
    ),
    "a generic foreign key": (
        lambda: [note.target for note in notes()],
        ["Note.target", '`prefetch_related("target")`'],
    ),
    "a relation to many": (
        lambda: [list(author.books.all()) for author in Author.objects.all()],
        ["Author.books", '`prefetch_related("books")`'],
    ),
    "the other of two relations to a model": (
        lambda: [list(author.translated.all()) for author in Author.objects.all()],
        ["Author.translated", '`prefetch_related("translated")`'],
    ),
    "a relation of many to many": (
        lambda: [list(book.tags.all()) for book in books()[:8]],
        ["Book.tags", '`prefetch_related("tags")`'],
    ),
    "the other side of a relation of many to many": (
        lambda: [len(tag.books.all()) for tag in Tag.objects.all()],
        ["Tag.books", '`prefetch_related("books")`'],
    ),
    "a relation that is filtered": (
        lambda: [list(author.books.filter(pages__gt=9)) for author in Author.objects.all()],
        ["Author.books", '`prefetch_related("books")`'],
    ),
}
# Those that no fetch mode is about.
TO_MANY = {case for case in CASES if "relation" in case and "one-to-one" not in case}


@pytest.mark.parametrize("case", CASES)
def test_an_attribute_that_fetches_again_and_again_is_logged(case, warned, run):
    touch, words = CASES[case]
    run(lambda: run_sync(touch))
    (said,) = warned()
    assert f"has fetched {LIMIT} times" in said
    assert line_of(touch, "lambda") in said
    for word in words:
        assert word in said
    has_mode = hasattr(models, "FETCH_PEERS") and case not in TO_MANY
    assert ("`.fetch_mode(models.FETCH_PEERS)`" in said) is has_mode


CURES = {
    "select_related()": lambda: authors_of(books().select_related("author")),
    "prefetch_related()": lambda: authors_of(books().prefetch_related("author")),
    "prefetch_related_objects()": lambda: (
        prefetch_related_objects(found := list(books()), "author"),
        authors_of(found),
    ),
    "prefetch_related() of a relation to many": lambda: [
        list(book.tags.all()) for book in books().prefetch_related("tags")
    ],
    "only() with the field": lambda: [book.pages for book in books().only("title", "pages")],
}


@pytest.mark.parametrize("cure", CURES)
def test_the_cures_are_not_logged(cure, warned, run):
    run(lambda: run_sync(CURES[cure]))
    assert warned() == []


@with_fetch_modes
@pytest.mark.parametrize(
    "touch",
    [
        lambda found: [book.author for book in found],
        lambda found: [book.pages for book in found.only("title")],
    ],
)
def test_a_fetch_mode_fetches_once(touch, warned, run):
    run(lambda: run_sync(lambda: touch(books().fetch_mode(models.FETCH_PEERS))))
    assert warned() == []


@with_fetch_modes
def test_a_fetch_mode_that_fetches_for_each_list_is_logged(warned, run):
    def touch():
        for author in Author.objects.all():
            peers = author.books.fetch_mode(models.FETCH_PEERS)
            authors_of(peers.exclude(translator=None).only("title"))

    run(lambda: run_sync(touch))
    assert any("Book.author" in said for said in warned())


def test_prefetching_again_and_again_is_not_for_each_instance(warned, run):
    def touch():
        for _ in range(LIMIT + 1):
            list(books().prefetch_related("tags", "author")[:3])

    run(lambda: run_sync(touch))
    assert warned() == []


def test_what_a_relation_prefetches_is_not_counted_beside_it(warned, run):
    def touch(number):
        for author in Author.objects.all()[:number]:
            list(author.books.prefetch_related("tags"))

    run(lambda: run_sync(touch, LIMIT - 1))
    assert warned() == []
    run(lambda: run_sync(touch, LIMIT))
    assert len(warned()) == 1


def test_fewer_fetches_are_not_logged(warned, run):
    run(lambda: run_sync(authors_of, books()[: LIMIT - 1]))
    assert warned() == []


def test_queries_are_not_logged(warned, run):
    """Only what an attribute queries without saying so."""

    def ask():
        for book in books()[:8]:
            Author.objects.get(pk=book.author_id)
            list(Author.objects.filter(pk=book.author_id))
            with transaction.atomic(), transaction.atomic():
                book.refresh_from_db()
            book.tags.count()

    run(lambda: run_sync(ask))
    assert warned() == []


def test_each_line_is_logged_once(warned, run):
    def touch():
        for book in books()[:8]:
            _ = book.author
            _ = book.translator

    for _ in range(3):
        run(lambda: run_sync(touch))
    first, second = warned()
    assert line_of(touch, "book.author") in first
    assert line_of(touch, "book.translator") in second


def test_attributes_at_one_line_are_counted_apart(warned, run):
    def touch(number):
        for book in books()[:number]:
            _ = book.author, book.pages

    run(lambda: run_sync(touch, LIMIT - 1))
    assert warned() == []
    run(lambda: run_sync(lambda: [(book.author, book.pages) for book in books().only("title")]))
    assert sorted(said.split()[0] for said in warned()) == ["Book.author", "Book.pages"]


def test_each_task_counts_for_itself(warned, run):
    async def touch():
        await run_sync(authors_of, books()[: LIMIT - 1])

    async def in_tasks():
        for _ in range(3):
            await asyncio.create_task(touch())
        assert warned() == []
        await touch()
        await touch()
        assert len(warned()) == 1

    run(in_tasks)
    gc.collect()
    assert not n_plus_one._counts


def test_what_is_looked_at_is_left_to_no_garbage_collector(warned, run):
    gc.collect()
    gc.disable()
    try:
        run(lambda: run_sync(leave_nothing))
    finally:
        gc.enable()
    assert len(warned()) == 1


def test_calls_of_a_task_are_counted_together(warned, run):
    async def touch():
        async for book in books()[:8]:
            await run_sync(getattr, book, "author")

    run(touch)
    (said,) = warned()
    assert line_of(touch, "getattr") in said


def test_a_coroutine_on_the_bridge_is_named(warned, run):
    async def touch():
        for book in [book async for book in books()[:8]]:
            _ = book.author

    run(lambda: run_sync(lambda: await_(touch())))
    (said,) = warned()
    assert line_of(touch, "book.author") in said


TEMPLATE = """<ul>
{% for book in books %}
  <li>{{ book.author.name }}
{% endfor %}
</ul>"""


def test_a_template_is_named_with_its_line(warned, run):
    async def touch():
        await run_sync(render, TEMPLATE, books=books()[:8])

    run(touch)
    (said,) = warned()
    assert "Book.author" in said
    assert "line 3 of the template of a string" in said


def test_a_template_that_is_included_is_named(warned, run):
    engine = Engine(
        loaders=[
            (
                "django.template.loaders.locmem.Loader",
                {
                    "base.html": "{% block list %}{% endblock %}",
                    "list.html": '{% extends "base.html" %}\n{% block list %}\n'
                    '{% for book in books %}{% include "book.html" %}{% endfor %}'
                    "{% for author in authors %}{% for each in author.books.all %}{% endfor %}"
                    "{% endfor %}{% endblock %}",
                    "book.html": "\n{{ book.author.name }}",
                },
            )
        ]
    )

    def touch():
        context = Context({"books": books()[:8], "authors": Author.objects.all()})
        engine.get_template("list.html").render(context)

    run(lambda: run_sync(touch))
    first, second = warned()
    assert "line 2 of the template 'book.html'" in first
    assert "line 3 of the template 'list.html'" in second
    assert "Author.books" in second


def test_code_that_a_template_calls_is_named(warned, run):
    def named(book):
        return book.author.name

    def touch():
        found = [{"named": lambda book=book: named(book)} for book in books()[:8]]
        render("{% for book in books %}{{ book.named }}{% endfor %}", books=found)

    run(lambda: run_sync(touch))
    (said,) = warned()
    assert line_of(named, "book.author") in said


def test_code_of_libraries_alone_is_named_at_the_line_that_touches(warned):
    """As that of a view that a library has written, below a server."""
    source = "def touch(books):\n    for book in books:\n        _ = book.author\n"
    namespace = {"__name__": "library"}
    exec(compile(source, f"{inspect.getsourcefile(models)}.py", "exec"), namespace)
    main = compile(
        "def main(run, run_sync, touch, books):\n"
        "    async def ask():\n"
        "        await run_sync(touch, books)\n"
        "    run(ask())\n",
        inspect.getsourcefile(models),
        "exec",
    )
    exec(main, namespace)

    namespace["main"](asyncio.run, run_sync, namespace["touch"], books()[:8])
    (said,) = warned()
    assert f"{inspect.getsourcefile(models)}.py:3 (touch)" in said


def test_it_is_off_without_debug(caplog, run):
    with override_settings(DEBUG=False, TURBO_ORM={"PATCH_DJANGO": False}):
        run(lambda: run_sync(authors_of, books()))
        assert n_plus_one.is_off
    assert caplog.records == []


@pytest.mark.parametrize("given", [{}, {"N_PLUS_ONE": 0}], ids=["default", "off"])
def test_it_is_on_with_debug_unless_it_is_switched_off(given, caplog, run):
    n_plus_one._logged.clear()
    # The watchdog is another test's.
    settings = {"PATCH_DJANGO": False, "LOOP_WATCHDOG": 0, **given}
    with (
        override_settings(DEBUG=True, TURBO_ORM=settings),
        caplog.at_level(logging.WARNING, "turbo_orm"),
    ):
        run(lambda: run_sync(authors_of, books()))
    said = [record.getMessage() for record in caplog.records if record.name == "turbo_orm"]
    assert ["10 times" in each for each in said] == ([] if given else [True])


def test_what_is_kept_of_a_task_is_bounded(warned, run, monkeypatch):
    monkeypatch.setattr(n_plus_one, "_MOST", 2)

    async def touch():
        def attributes():
            for book in books()[:8]:
                _ = book.author
                _ = book.translator
                _ = list(book.tags.all())

        await run_sync(attributes)
        assert len(n_plus_one._counts[asyncio.current_task()]) == 2

    run(touch)
    assert len(warned()) == 2
