"""``raw()``: instances of whatever a statement selects."""

import django
import pytest
from django.db import models

from tests.library.fields import Arrays, OrderLine, Picture, Structured
from tests.library.kinds import Converting, WithFromDbBelow
from tests.library.lineage import Inn, Palace
from tests.library.models import Author, Book, Order, PrintedBook
from tests.support.answers import django_answer, sync_answer, turbo_answer
from turbo_orm import bridge

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
