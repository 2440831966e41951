"""Hits that are verified in production: a mismatch is logged, dropped, and answered by Django."""

import logging

import pytest
from django.test import override_settings

from tests.library.models import Book, Tag
from turbo_orm import cache_info
from turbo_orm.query_cache import tracing, verification
from turbo_orm.query_cache.cache import cache

pytestmark = [
    pytest.mark.usefixtures("library", "empty_cache"),
    pytest.mark.skipif(tracing.VERIFIES, reason="A mismatch is raised"),
]


def spoil(statement):
    """Change a statement, as a change that was not noticed would have it be."""
    statement.sql = statement.sql.replace("ORDER BY", "OFFSET 1 -- ORDER BY")
    statement._between = tuple(
        [each.replace(b"ORDER BY", b"OFFSET 1 -- ORDER BY") for each in statement._between]
    )


def make():
    return Book.objects.filter(pages__gte=0).order_by("pk")


def statements():
    return make()._cached.entry.statements


def test_a_mismatch_is_answered_by_django(run, caplog):
    expected = [book.pk for book in make()]
    with override_settings(TURBO_ORM={"QUERY_CACHE_VERIFY": 3}):

        async def keys():
            return [book.pk for book in await make().alist()]

        for _ in range(3):
            assert run(keys) == expected
        (statement,) = statements().values()
        spoil(statement)
        with caplog.at_level(logging.ERROR, "turbo_orm"):
            found = [run(keys) for _ in range(3)]
        # Until it is its turn, a wrong statement is believed.
        assert expected in found
        assert statement not in statements().values()
        (record,) = caplog.records
        assert "library.Book" in record.getMessage()
        assert "OFFSET 1" in record.getMessage()
        assert list(cache_info().bypasses).count(verification.MISMATCH) == 1
        for _ in range(5):
            assert run(keys) == expected
        assert len(caplog.records) == 1


def test_one_hit_in_so_many_is_verified(run, monkeypatch):
    compared = []
    compare = verification.compare
    monkeypatch.setattr(
        verification, "compare", lambda *args: compared.append(args) or compare(*args)
    )

    async def asked(times):
        for _ in range(times):
            await Book.objects.aget(pk=1)

    run(lambda: asked(3))
    with override_settings(TURBO_ORM={"QUERY_CACHE_VERIFY": 10}):
        run(lambda: asked(3))
        compared.clear()
        run(lambda: asked(100))
        assert len(compared) == 10
    run(lambda: asked(100))
    assert len(compared) == 10


def test_saves_are_verified(run, monkeypatch, caplog):
    async def saved(label):
        tag = await Tag.objects.acreate(label=label)
        found = await Tag.objects.aget(pk=tag.pk)
        await tag.adelete()
        return found.label

    for label in "abc":
        run(lambda label=label: saved(label))

    def compare(*args):
        raise verification.CacheMismatch("INSERT was cached")

    monkeypatch.setattr(verification, "compare", compare)
    with override_settings(TURBO_ORM={"QUERY_CACHE_VERIFY": 1}):
        for label in "abc":
            run(lambda label=label: saved(label))
        for label in "abc":
            assert run(lambda label=label: saved(label)) == label
        # What a dropped statement took is given back.
        saves = cache.model(Tag).saves
        assert saves._size == sum([each.size for each in saves._statements.values()])
    assert any("library.Tag" in record.getMessage() for record in caplog.records)
