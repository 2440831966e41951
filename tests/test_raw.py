"""``raw()``, whose instances are made by Django: on the bridge, and as everywhere else."""

import django
import pytest

from tests.answers import django_answer, sync_answer, turbo_answer
from tests.library.fields import Arrays, OrderLine, Picture, Structured
from tests.library.kinds import Converting, WithFromDbBelow
from tests.library.lineage import Inn
from tests.library.models import Book, Order

RAW = {
    "translated": (
        "SELECT id AS key, title AS heading, pages, author_id FROM library_book ORDER BY id",
        {"key": "id", "heading": "title"},
    ),
    "annotated": ("SELECT *, pages * 2.5 AS x, now() IS NULL AS y FROM library_book", None),
    "deferred": ("SELECT id FROM library_book ORDER BY id", None),
    "in another order": ("SELECT pages, title, id, pages AS again FROM library_book", None),
    "no key": ("SELECT title FROM library_book", None),
    "no rows": ("SELECT * FROM library_book WHERE false", None),
}


@pytest.mark.parametrize("case", RAW)
def test_raw(case, run, library):
    statement, translations = RAW[case]

    def make():
        return Book.objects.raw(statement, translations=translations)

    expected = django_answer(lambda: list(make()))
    assert sync_answer(lambda: list(make())) == expected
    ours = make()
    assert run(lambda: turbo_answer(ours.alist)) == expected
    assert ("raised" in expected) is (case == "no key")


RAW_OF_OTHERS = [Arrays, Converting, Structured, OrderLine, Order, Inn, WithFromDbBelow, Picture]


@pytest.mark.parametrize("model", RAW_OF_OTHERS, ids=lambda model: model.__name__)
def test_raw_of_other_models(model, run, library):
    statement = str(model.objects.order_by("pk").query)
    expected = django_answer(lambda: list(model.objects.raw(statement)))
    ours = model.objects.raw(statement)
    assert run(lambda: turbo_answer(ours.alist)) == expected
    # 5.2 does not find the key.
    assert ("raised" in expected) is (model is Order and django.VERSION < (6, 0))
