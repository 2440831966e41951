"""Sync code in several threads at once: one query cache for all of them."""

import random
import threading
import warnings

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import close_old_connections, connections
from django.db.models import Count, F
from django.db.models.signals import class_prepared

from tests.library.models import Author, Book
from tests.support.answers import fingerprint
from turbo_orm import cache_info
from turbo_orm.query_cache import content_types, tracing
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.parameters import lookup_factories

pytestmark = pytest.mark.usefixtures("library")

THREADS = 8
ROUNDS = 60

# Chains that all threads ask for, and of which each has its own, by number.
SHARED = [
    lambda authors, n: authors.get(pk=1 + n % 2).name,
    lambda authors, n: list(authors.filter(pk__in=range(1 + n % 3)).order_by("pk")),
    lambda authors, n: authors.filter(name__startswith="A").count(),
    lambda authors, n: authors.filter(pk__gt=n).exists(),
    lambda authors, n: list(authors.order_by("-name")[: 1 + n % 2]),
    lambda authors, n: authors.aggregate(n=Count("pk")),
    lambda authors, n: authors.filter(pk=-n).update(name="none"),
    lambda authors, n: [
        [book.title for book in author.books.all()]
        for author in authors.order_by("pk").prefetch_related("books")
    ],
    lambda authors, n: list(authors.annotate(**{f"name_{n}": F("name")}).order_by("pk").values()),
    lambda authors, n: authors.filter(**{"name__contains" if n % 2 else "name__gt": "A"}).first(),
]


def in_threads(*functions):
    """Call functions in a thread each, and return what they raise."""
    raised = []
    barrier = threading.Barrier(len(functions))

    def call(function):
        try:
            barrier.wait(timeout=30)
            function()
        except BaseException as exc:
            raised.append(exc)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=call, args=(each,), daemon=True) for each in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not any(thread.is_alive() for thread in threads)
    return raised


def test_threads_get_djangos_answers_while_the_cache_is_cleared():
    expected = {
        (index, n): fingerprint(ask(Author._base_manager.all(), n))
        for index, ask in enumerate(SHARED)
        for n in range(6)
    }
    before = cache_info().hits

    def ask(seed):
        chance = random.Random(seed)
        for number in range(1, ROUNDS + 1):
            if number % 25 == 0 and seed < 2:
                class_prepared.send(Author)
            index, n = chance.randrange(len(SHARED)), chance.randrange(6)
            found = fingerprint(SHARED[index](Author.objects.all(), n))
            assert found == expected[index, n], (index, n)

    assert in_threads(*[lambda seed=seed: ask(seed) for seed in range(THREADS)]) == []
    assert cache_info().hits > before
    assert cache.bytes == sum(entry.size for entry in cache)


def test_a_cache_that_is_too_small_evicts_entries_of_other_threads(monkeypatch):
    cache.clear()
    monkeypatch.setattr(cache, "max_entries", 3)

    def ask(seed):
        chance = random.Random(seed)
        for _ in range(ROUNDS):
            n = chance.randrange(6)
            names = [author.name for author in SHARED[1](Author.objects.all(), n)]
            assert names == [author.name for author in SHARED[1](Author._base_manager.all(), n)]

    assert in_threads(*[lambda seed=seed: ask(seed) for seed in range(THREADS)]) == []
    assert len(cache) <= 3
    assert cache.bytes == sum(entry.size for entry in cache)


def test_what_was_traced_before_the_cache_was_cleared_is_not_cached(monkeypatch):
    traced, cleared = threading.Event(), threading.Event()
    djangos = tracing._traced

    def trace(*args):
        statement = djangos(*args)
        traced.set()
        assert cleared.wait(10)
        return statement

    monkeypatch.setattr(tracing, "_traced", trace)
    cache.clear()
    authors = Author.objects.filter(name="Ada")

    def clear():
        assert traced.wait(10)
        cache.clear()
        cleared.set()

    assert in_threads(authors.count, clear) == []
    assert authors._cached[0].statements == {}


def test_other_threads_keep_their_content_types():
    ContentType.objects.get_for_model(Book)
    with content_types.unknown():
        assert ContentType.objects._cache.get("default") is None

        def look_up():
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(connections["default"], "cursor", None)
                assert ContentType.objects.get_for_model(Book).model == "book"

        assert in_threads(look_up) == []
    assert ContentType.objects._cache["default"]


def test_warnings_of_other_threads_do_not_keep_a_step_from_being_recorded():
    def warn():
        warnings.warn("of another thread", DeprecationWarning, stacklevel=1)

    def traced(traces):
        assert in_threads(warn) == []

    assert lookup_factories(traced, []) == []


def test_threads_have_a_connection_each():
    found = []

    def ask():
        close_old_connections()
        for _ in range(3):
            Author.objects.get(name="Ada")
        found.append(connections["default"].connection.info.backend_pid)

    Author.objects.get(name="Ada")
    assert in_threads(ask, ask) == []
    assert len({*found, connections["default"].connection.info.backend_pid}) == 3
