"""``raw()``: instances of whatever a statement selects."""

import datetime
from decimal import Decimal

import django
import pytest
from django.db import connection, models, transaction
from django.db.models.signals import post_init
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb

from tests.library.fields import Arrays, OrderLine, Picture, Structured
from tests.library.kinds import Converting, WithFromDbBelow
from tests.library.lineage import Inn, Palace
from tests.library.models import Author, Book, Order, PrintedBook, Tag
from tests.support.answers import django_answer, fingerprint, sync_answer, turbo_answer
from turbo_orm import AsyncRawQuerySet, async_atomic, bridge, cache_info

RAW = {
    "translated": (
        "SELECT id AS key, title AS heading, pages, author_id FROM library_book ORDER BY id",
        {"key": "id", "heading": "title"},
    ),
    "annotated": ("SELECT *, pages * 2.5 AS x, now() IS NULL AS y FROM library_book", None),
    "deferred": ("SELECT id FROM library_book ORDER BY id", None),
    "in another order": ("SELECT pages, title, id, pages AS again FROM library_book", None),
    "doubled": ("SELECT *, title, 7 AS pages FROM library_book ORDER BY id", None),
    "in capitals": ('SELECT id AS "ID", title AS "Title" FROM library_book', {"Title": "title"}),
    "a relation of another type": (
        "SELECT id, author_id AS author, translator_id FROM library_book",
        None,
    ),
    "no result": ("SET LOCAL statement_timeout = 1000", None),
    "no key": ("SELECT title FROM library_book", None),
    "no rows": ("SELECT * FROM library_book WHERE false", None),
}
REFUSED = {"a relation of another type", "in capitals", "no key", "no result"}


@pytest.mark.parametrize("case", RAW)
def test_raw(case, run, library):
    statement, translations = RAW[case]

    def make():
        return Book.objects.raw(statement, translations=translations)

    expected = django_answer(lambda: list(make()))
    assert sync_answer(lambda: list(make())) == expected
    ours = make()
    assert run(lambda: turbo_answer(ours.alist)) == expected
    assert ("raised" in expected) is (case in REFUSED)


RAW_OF_OTHERS = [Arrays, Converting, Structured, OrderLine, Order, Inn, WithFromDbBelow, Picture]


@pytest.mark.parametrize("model", RAW_OF_OTHERS, ids=lambda model: model.__name__)
def test_raw_of_other_models(model, run, library):
    statement = str(model.objects.order_by("pk").query)
    expected = django_answer(lambda: list(model.objects.raw(statement)))
    ours = model.objects.raw(statement)
    assert run(lambda: turbo_answer(ours.alist)) == expected
    # 5.2 does not find the key.
    assert ("raised" in expected) is (model is Order and django.VERSION < (6, 0))


PREPARED = {
    "parameters": lambda: Book.objects.raw("SELECT * FROM library_book WHERE pages > %s", [100]),
    "named parameters": lambda: Book.objects.raw(
        "SELECT * FROM library_book WHERE pages > %(pages)s", {"pages": 100}
    ),
    "prefetched": lambda: Author.objects.raw(
        "SELECT * FROM library_author ORDER BY id"
    ).prefetch_related("books__tags", "profile"),
    "a proxy": lambda: PrintedBook.printed.raw("SELECT * FROM library_book ORDER BY id"),
    "a child": lambda: Palace.objects.raw(
        "SELECT * FROM library_palace, library_inn, library_building"
        " WHERE as_inn_id = building_ptr_id AND building_ptr_id = id"
    ),
    "a child without its parents": lambda: Palace.objects.raw("SELECT * FROM library_palace"),
    "types without fields": lambda: Author.objects.raw(
        "SELECT id, ARRAY[1, NULL] AS a, now() = NULL AS b, '1 day'::interval AS c,"
        " '{\"k\": [1.50]}'::jsonb AS d, int4range(1, 2) AS e, '24:00'::text AS f"
        " FROM library_author ORDER BY id"
    ),
}


@pytest.mark.parametrize("case", PREPARED)
def test_raw_querysets(case, run, library):
    make = PREPARED[case]
    expected = django_answer(lambda: list(make()))
    assert sync_answer(lambda: list(make())) == expected
    assert sync_answer(lambda: list(make().iterator())) == django_answer(
        lambda: list(make().iterator())
    )
    ours, looped = make(), make()

    async def loop():
        return [instance async for instance in looped]

    assert run(lambda: turbo_answer(ours.alist)) == expected
    assert run(lambda: turbo_answer(loop)) == expected
    assert "returned" in expected


WORKS = {
    "an item": lambda raw: raw[2],
    "a slice": lambda raw: raw[1:3],
    "columns": lambda raw: (raw.columns, raw.model_fields),
    "order": lambda raw: raw.resolve_model_init_order(),
    "representation": lambda raw: repr(raw),
    "length": lambda raw: (len(raw), bool(raw), len(raw)),
    "deferred fields": lambda raw: [book.pages for book in raw],
    "related instances": lambda raw: [book.author for book in raw],
}


@pytest.mark.parametrize("case", WORKS)
def test_work_with_raw_querysets(case, run, library):
    def answer():
        return WORKS[case](Book.objects.raw("SELECT id, title, author_id FROM library_book"))

    expected = django_answer(answer)
    assert sync_answer(answer) == expected
    assert run(lambda: turbo_answer(lambda: bridge.run(answer))) == expected
    assert "returned" in expected


@pytest.mark.skipif(django.VERSION < (6, 1), reason="fetch modes came with 6.1")
@pytest.mark.parametrize("mode", ["FETCH_ONE", "FETCH_PEERS", "FETCH_RAISE"])
def test_fetch_modes(mode, run, library):
    def answer():
        raw = Book.objects.fetch_mode(getattr(models, mode)).raw("SELECT id FROM library_book")
        return [book.title for book in raw], list(raw)

    expected = django_answer(answer)
    assert sync_answer(answer) == expected
    assert run(lambda: turbo_answer(lambda: bridge.run(answer))) == expected


REPEATED = {
    "a list": lambda n: Book.objects.raw("SELECT * FROM library_book WHERE pages > %s", [n]),
    "a tuple": lambda n: Book.objects.raw(
        "SELECT id, title, %s AS n FROM library_book WHERE pages > %s ORDER BY id", ("%s", n)
    ),
    "names, one twice": lambda n: Book.objects.raw(
        "SELECT *, %(n)s AS n FROM library_book WHERE pages > %(n)s AND title <> %(t)s",
        {"t": "100 %", "n": n, "unused": 1},
    ),
    "no parameters": lambda n: Book.objects.raw(
        "SELECT *, 'a%sb%%' AS p, 7 % 4 AS q FROM library_book ORDER BY id", None
    ),
    "an empty tuple": lambda n: Book.objects.raw(
        "SELECT *, 'a%%b' AS p, 7 %% 4 AS q FROM library_book ORDER BY id"
    ),
    "letters": lambda n: Book.objects.raw("SELECT id, 'åβ' AS \"ö\" FROM library_book"),
    "many types": lambda n: Book.objects.raw(
        "SELECT id, %s AS a, %s AS b, %s AS c, %s::jsonb AS d FROM library_book ORDER BY id",
        [Decimal("1.50"), datetime.date(2020, 1, n), [1, None], Jsonb({"k": n})],
    ),
    "translations": lambda n: Book.objects.raw(
        "SELECT id AS key, title AS heading, pages FROM library_book WHERE pages > %s ORDER BY id",
        [n],
        translations={"key": "id", "heading": "title"},
    ),
    "a common table": lambda n: Book.objects.raw(
        "\n with thick AS (SELECT * FROM library_book WHERE pages > %s) SELECT * FROM thick", [n]
    ),
    "a proxy": lambda n: PrintedBook.printed.raw("SELECT * FROM library_book ORDER BY id"),
    "code of the model's own": lambda n: WithFromDbBelow.objects.raw(
        str(WithFromDbBelow.objects.order_by("pk").query)
    ),
    "converters": lambda n: Converting.objects.raw(str(Converting.objects.order_by("pk").query)),
    "prefetched": lambda n: Author.objects.raw(
        "SELECT * FROM library_author ORDER BY id"
    ).prefetch_related("books"),
    "a related manager": lambda n: Author(pk=1).books.raw(
        "SELECT * FROM library_book ORDER BY id"
    ),
    "more than a slice": lambda n: Author.objects.raw(
        "SELECT a.*, i FROM library_author a, generate_series(1, 1500) i ORDER BY a.id, i"
    ),
}
# Texts that Django executes, as often as they come.
BYPASSED = {
    "two statements": lambda n: Book.objects.raw(
        "SELECT * FROM library_book; SELECT * FROM library_book", None
    ),
    "a row that is written": lambda n: Tag.objects.raw(
        "INSERT INTO library_tag (id, label) VALUES (%s, 'new') RETURNING *", [9000 + n]
    ),
    "a statement of psycopg's": lambda n: Book.objects.raw(
        SQL("SELECT * FROM library_book ORDER BY {}").format(Identifier("id"))
    ),
    "a placeholder of another kind": lambda n: Book.objects.raw(
        "SELECT * FROM library_book WHERE pages > %t", [n]
    ),
    "any iterable": lambda n: Book.objects.raw(
        "SELECT * FROM library_book WHERE pages > %s", {n: None}.keys()
    ),
    "other names": lambda n: Book.objects.raw(
        "SELECT * FROM library_book WHERE pages > %(pages)s", {"page": n}
    ),
    "too few": lambda n: Book.objects.raw(
        "SELECT * FROM library_book WHERE pages IN (%s, %s)", [n]
    ),
    "no key": lambda n: Book.objects.raw("SELECT title FROM library_book"),
    "no table": lambda n: Book.objects.raw("SELECT * FROM library_books"),
    "a class of its own": lambda n: OwnRaw.of(Book.objects.raw("SELECT id FROM library_book")),
}


class OwnRaw(AsyncRawQuerySet):
    """A raw queryset whose class is a project's."""


@pytest.mark.parametrize("case", {**REPEATED, **BYPASSED})
def test_a_text_that_comes_again(case, run, library):
    make = {**REPEATED, **BYPASSED}[case]
    expected = [rolled_back(lambda n=n: shown(make(n))) for n in range(11, 15)]

    async def ask(n, answer_of):
        raw = make(n)

        async def answer():
            await raw.alist()
            return shown(raw)

        async with async_atomic():
            before = cache_info().hits
            answered = await answer_of(answer)
            await bridge.run(transaction.set_rollback, True)
            return answered, cache_info().hits - before

    async def ask_often():
        # The last two are executed through a cursor, and directly.
        ways = (outcome, outcome, turbo_answer, outcome)
        return [await ask(n, way) for n, way in enumerate(ways, 11)]

    found = run(ask_often)
    for (answered, _), djangos in zip(found, expected, strict=True):
        assert answered == {name: djangos[name] for name in answered}
    assert bool(found[-1][1]) is (case in REPEATED)


def shown(raw):
    return [*raw], raw.columns


async def outcome(answer):
    """Return what a function returns or raises. Nothing is logged."""
    try:
        return {"returned": fingerprint(await answer())}
    except Exception as exc:
        return {"raised": (type(exc), str(exc))}


def rolled_back(answer):
    with transaction.atomic():
        answered = django_answer(answer)
        transaction.set_rollback(True)
    return answered


def test_columns_that_change(run, library):
    """The text stays, and what its columns are does not."""
    text = "SELECT * FROM changing"
    rows = (
        "SELECT id, title FROM library_book",
        "SELECT id, title FROM library_book",
        "SELECT pages, id FROM library_book",
        "SELECT id::text, title, 1.5 AS pages, '2020-01-01'::date AS at FROM library_book",
        "SELECT title FROM library_book",
        "SELECT id, title FROM library_book",
    )

    def made(row):
        with connection.cursor() as cursor:
            cursor.execute(f"DROP VIEW IF EXISTS changing; CREATE VIEW changing AS {row}")

    def by_django(row):
        with transaction.atomic():
            made(row)
            answered = django_answer(lambda: [vars(book) for book in Book.objects.raw(text)])
            transaction.set_rollback(True)
        return answered

    async def ask(row):
        async with async_atomic():
            await bridge.run(made, row)

            async def answer():
                return [vars(book) for book in await Book.objects.raw(text).alist()]

            answered = await outcome(answer)
            await bridge.run(transaction.set_rollback, True)
        return answered

    async def ask_often():
        return [await ask(row) for row in rows]

    expected = [by_django(row) for row in rows]
    found = run(ask_often)
    assert [{**each, "statements": []} for each in found] == [
        {**each, "statements": []} for each in expected
    ]
    assert ["raised" in each for each in expected] == [False] * 4 + [True, False]


def test_what_receives_signals_is_called(run, library):
    """A text that is cached gives instances as the model makes them now."""
    make = lambda: Book.objects.raw("SELECT id, title FROM library_book ORDER BY id")  # noqa: E731
    seen = []

    def receive(instance, **kwargs):
        seen.append(instance.pk)

    async def ask():
        for _ in range(3):
            before = await make().alist()
        post_init.connect(receive, sender=Book)
        try:
            return before, await make().alist()
        finally:
            post_init.disconnect(receive, sender=Book)

    before, after = run(ask)
    assert fingerprint(before) == fingerprint(after)
    assert seen == [book.pk for book in after]


def test_the_parameters_are_not_copied_too_early(run, library):
    """The list that a raw queryset was given is read when it is executed, as Django does."""
    text = "SELECT * FROM library_book WHERE title = %s"

    async def ask():
        for _ in range(3):
            params = ["nothing"]
            raw = Book.objects.raw(text, params)
            params[0] = title
            found = await raw.alist()
        return found

    title = Book.objects.first().title
    assert [book.title for book in run(ask)] == [title]
