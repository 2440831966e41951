"""Entries are evicted: where there are too many, and where they may not be right any more."""

import gc
import tracemalloc

import pytest
from django.db import models
from django.db.models import F
from django.db.models.query import ModelIterable
from django.db.models.signals import post_init
from django.test import override_settings
from django.test.utils import isolate_apps

from tests.library.models import Author, Book, Sample, Tag
from turbo_orm import cache_info
from turbo_orm.query_cache.cache import QueryCache, cache
from turbo_orm.query_cache.compiled import CompiledStatement
from turbo_orm.query_cache.step import Step

pytestmark = pytest.mark.usefixtures("library")


class Cache(QueryCache):
    """A cache of some steps from a model's entry, none of which can be replayed."""

    def step(self, parent, name):
        return self.add(parent, name, Step(name, (), {}), ModelIterable, None)


def statement(places=0):
    return CompiledStatement("default", "SELECT 1" + " %s" * places, [], [(0,)] * places)


def test_the_unused_are_evicted_first():
    cache_ = Cache(max_entries=4)
    root = cache_.model(Book)
    used, unused = cache_.step(root, "used"), cache_.step(root, "unused")
    cache_.store(used, "get", statement())
    used.uses = 1
    cache_.step(root, "new")
    cache_.step(root, "newer")
    assert [*root.children] == ["used", "new", "newer"]
    assert unused.parent is root
    assert cache_.model(Book) is root


def test_what_others_are_made_of_is_kept():
    cache_ = Cache(max_entries=4)
    first = cache_.step(cache_.model(Book), "first")
    for number in range(10):
        cache_.step(first, number)
    assert [*first.children] == [8, 9]
    assert len(cache_) == 4


def test_bytes_go_down():
    cache_ = Cache(max_bytes=20_000)
    root = cache_.model(Book)
    before = cache_.bytes
    for number in range(100):
        cache_.store(cache_.step(root, number), "get", statement())
        assert cache_.bytes <= 20_000
    assert len(root.children) >= 3
    for number in [*root.children]:
        cache_._evict(root.children[number])
    assert cache_.bytes == before


def test_a_statement_that_is_stored_again_takes_the_place_of_the_first():
    """It is traced again in each time zone in which the SQL is another."""
    cache_ = Cache()
    root = cache_.model(Book)
    cache_.store(root, "get", statement())
    before = cache_.bytes, root.size
    for _ in range(3):
        cache_.store(root, "get", statement())
    assert (cache_.bytes, root.size) == before


@pytest.mark.parametrize("bounds", [{"max_bytes": 5_000}, {"max_entries": 3}])
def test_more_than_fits(bounds):
    """Where the newest and those that it was reached by take all there is, nothing is cached."""
    cache_ = Cache(**bounds)
    entry = cache_.model(Book)
    for number in range(5):
        entry = cache_.step(entry, number)
        cache_.store(entry, "get", statement())
        assert cache_.bytes <= cache_.max_bytes
        assert len(cache_) <= cache_.max_entries
    assert cache_.model(Book) is cache_.model(Book)


def test_one_that_is_held_is_not_evicted_in_the_place_of_another():
    cache_ = Cache()
    held = cache_.step(cache_.model(Book), "step")
    cache_.clear()
    again = cache_.step(cache_.model(Book), "step")
    cache_.store(held, "get", statement())
    cache_._evict(held)
    cache_._evict(held.parent)
    assert cache_.model(Book).children == {"step": again}


def all_authors():
    return Author.objects.order_by("pk")


def statements_of(queryset):
    return [*queryset._cached.entry.statements.values()]


@pytest.fixture
def held(run):
    """A queryset that is kept, and whose statement is cached."""
    cache.clear()
    queryset = all_authors()
    run(queryset.all().alist)
    run(queryset.all().alist)
    assert statements_of(queryset)
    return queryset


class Heard(list):
    def __call__(self, instance, **kwargs):
        self.append(instance)


def test_a_receiver_of_instances(held, run):
    """It may be connected after all was cached, with a queryset that was made before."""
    heard = Heard()
    for make in (held.all, all_authors):
        post_init.connect(heard, sender=Author)
        try:
            authors = run(lambda: make().alist())  # noqa: B023
        finally:
            post_init.disconnect(heard, sender=Author)
        assert [author.pk for author in heard] == [author.pk for author in authors]
        heard.clear()
        run(lambda: make().alist())  # noqa: B023
        assert heard == []


def test_a_receiver_in_the_place_of_another(run):
    of_tags, of_authors = Heard(), Heard()
    post_init.connect(of_tags, sender=Tag)
    try:
        run(all_authors().alist)
        run(all_authors().alist)
        post_init.disconnect(of_tags, sender=Tag)
        post_init.connect(of_authors, sender=Author)
        run(all_authors().alist)
    finally:
        post_init.disconnect(of_tags, sender=Tag)
        post_init.disconnect(of_authors, sender=Author)
    assert of_authors
    assert of_tags == []


def test_settings(run):
    """Whether there are time zones is a setting."""

    def year():
        return Sample.objects.filter(moment__year=2024)

    for _ in range(2):
        run(year().alist)
    held = year()
    assert statements_of(held)
    with override_settings(USE_TZ=False):
        assert statements_of(held) == []
        assert year()._cached.entry is not held._cached.entry


@isolate_apps("tests.library")
def test_a_model_that_is_prepared(held):
    """It may refer to others, which get names to filter by, and cascades."""

    class Fan(models.Model):
        author = models.ForeignKey(Author, models.CASCADE, related_name="fans")

        class Meta:
            app_label = "library"

    assert Fan
    assert statements_of(held) == []


@pytest.mark.parametrize("times", [1, 2, 3])
def test_structures_that_come_and_go_do_not_push_out_the_one_that_stays(times, run):
    """Each is asked for once, is recorded at the second sight, or is a hit once."""

    def hot(number):
        return Book.objects.filter(pages__gt=number).order_by("title")

    async def ask():
        for _ in range(2):
            await hot(0).acount()
        found = []
        for number in range(400):
            for _ in range(times):
                await Author.objects.annotate(**{f"n{number}": F("pk")}).aexists()
            if number % 5 == 0:
                before = cache_info()
                await hot(number).acount()
                after = cache_info()
                found.append((after.hits - before.hits, after.entries <= 40))
        return found

    cache.clear()
    with override_settings(TURBO_ORM={"QUERY_CACHE_ENTRIES": 40}):
        assert run(ask) == [(1, True)] * 80


# Each makes as many statements as it is given numbers.
MANY = {
    "tuples": lambda number: Author.objects.annotate(**{f"n{number}": F("pk")}).values_list("pk"),
    "instances": lambda number: Book.objects.filter(pages__gt=1).annotate(
        **{f"n{number}": F("pk")}
    ),
    "of two models": lambda number: Book.objects.alias(**{f"n{number}": F("pk")}).select_related(
        "author"
    ),
}


@pytest.mark.parametrize("case", MANY)
def test_memory(case, run):
    """A thousand take 10 MB, and the estimate is true within a factor of two."""

    async def ask(numbers):
        for number in numbers:
            for _ in range(2):
                await MANY[case](number).alist()

    cache.clear()
    run(lambda: ask(range(1000, 1010)))
    gc.collect()
    tracemalloc.start()
    try:
        # Of three hundreds the one that took least: in another a table of the interpreter, as that
        # of interned strings, may grow by more than all that is looked at here.
        taken, estimate = min(grown(run, ask, range(at, at + 100)) for at in (0, 100, 200))
    finally:
        tracemalloc.stop()
    assert estimate / 2 <= taken <= estimate * 2
    assert taken <= 100 * 10_000


def grown(run, ask, numbers):
    """The bytes that the statements of these numbers take, and the cache's estimate of them."""
    start, estimate = tracemalloc.get_traced_memory()[0], cache.bytes
    run(lambda: ask(numbers))
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - start, cache.bytes - estimate
