"""What is known is forgotten: where there is too much of it, and where it is true no longer."""

import gc
import tracemalloc

import pytest
from django.db import models
from django.db.models import Value
from django.db.models.query import ModelIterable
from django.db.models.signals import post_init
from django.test import override_settings
from django.test.utils import isolate_apps

from tests.library.models import Author, Book, Sample, Tag
from turbo_orm.query_cache.cache import Shapes, Step, shapes
from turbo_orm.query_cache.compiled import Statement

pytestmark = pytest.mark.usefixtures("library")


class Known(Shapes):
    """The shapes of some steps from a root, none of which anything is learnt of."""

    def step(self, parent, name):
        return self.add(parent, name, Step(name, (), {}), ModelIterable, None)


def statement(places=0):
    return Statement("default", "SELECT 1" + " %s" * places, [], [(0,)] * places)


def test_the_unused_are_forgotten_first():
    known = Known(max_shapes=4)
    root = known.root(Book)
    used, unused = known.step(root, "used"), known.step(root, "unused")
    known.learnt(used, "get", statement())
    used.is_used = True
    known.step(root, "new")
    known.step(root, "newer")
    assert [*root.children] == ["used", "new", "newer"]
    assert unused.parent is root
    assert known.root(Book) is root


def test_what_others_are_made_of_is_kept():
    known = Known(max_shapes=4)
    first = known.step(known.root(Book), "first")
    for number in range(10):
        known.step(first, number)
    assert [*first.children] == [8, 9]
    assert len(known) == 4


def test_bytes_go_down():
    known = Known(max_bytes=20_000)
    root = known.root(Book)
    before = known.bytes
    for number in range(100):
        known.learnt(known.step(root, number), "get", statement())
        assert known.bytes <= 20_000
    assert len(root.children) >= 3
    for number in [*root.children]:
        known._forget(root.children[number])
    assert known.bytes == before


def test_a_statement_that_is_learnt_again_takes_its_place():
    """Each time zone in which SQL is another has it learnt again."""
    known = Known()
    root = known.root(Book)
    known.learnt(root, "get", statement())
    before = known.bytes, root.size
    for _ in range(3):
        known.learnt(root, "get", statement())
    assert (known.bytes, root.size) == before


@pytest.mark.parametrize("bounds", [{"max_bytes": 5_000}, {"max_shapes": 3}])
def test_more_than_fits(bounds):
    """Where the newest and those that it was made of take all there is, nothing is known."""
    known = Known(**bounds)
    shape = known.root(Book)
    for number in range(5):
        shape = known.step(shape, number)
        known.learnt(shape, "get", statement())
        assert known.bytes <= known.max_bytes
        assert len(known) <= known.max_shapes
    assert known.root(Book) is known.root(Book)


def test_one_that_is_held_is_not_forgotten_in_the_place_of_another():
    known = Known()
    held = known.step(known.root(Book), "step")
    known.clear()
    again = known.step(known.root(Book), "step")
    known.learnt(held, "get", statement())
    known._forget(held)
    known._forget(held.parent)
    assert known.root(Book).children == {"step": again}


def all_authors():
    return Author.objects.order_by("pk")


def statements_of(queryset):
    return [each for each in queryset._shape.statements.values() if type(each) is Statement]


@pytest.fixture
def held(run):
    """A queryset that is kept, and whose statement is known."""
    shapes.clear()
    queryset = all_authors()
    run(queryset.all().alist)
    run(queryset.all().alist)
    assert statements_of(queryset)
    return queryset


class Heard(list):
    def __call__(self, instance, **kwargs):
        self.append(instance)


def test_a_receiver_of_instances(held, run):
    """It may be connected after all was learnt, with a queryset that was made before."""
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
        assert year()._shape is not held._shape


@isolate_apps("tests.library")
def test_a_model_that_is_prepared(held):
    """It may refer to others, which get names to filter by, and cascades."""

    class Fan(models.Model):
        author = models.ForeignKey(Author, models.CASCADE, related_name="fans")

        class Meta:
            app_label = "library"

    assert Fan
    assert statements_of(held) == []


# Each makes as many statements as it is given numbers.
MANY = {
    "tuples": lambda number: Author.objects.annotate(n=Value(number)).values_list("n"),
    "instances": lambda number: Book.objects.filter(pages__gt=1).annotate(n=Value(number)),
    "of two models": lambda number: Book.objects.annotate(n=Value(number)).select_related(
        "author"
    ),
}


@pytest.mark.parametrize("case", MANY)
def test_memory(case, run):
    """A thousand take 10 MB, and the estimate is true within a factor of two."""

    async def learn(numbers):
        for number in numbers:
            for _ in range(2):
                await MANY[case](number).alist()

    shapes.clear()
    run(lambda: learn(range(-10, 0)))
    gc.collect()
    before = shapes.bytes
    tracemalloc.start()
    try:
        start, _ = tracemalloc.get_traced_memory()
        run(lambda: learn(range(100)))
        gc.collect()
        end, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    taken, estimate = end - start, shapes.bytes - before
    assert estimate / 2 <= taken <= estimate * 2
    assert taken <= 100 * 10_000
