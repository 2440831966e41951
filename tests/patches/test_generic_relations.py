"""Generic relations and foreign keys in a process whose cache of content types is empty."""

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import SynchronousOnlyOperation

from tests.library.models import Author, Book, Comment, Note, Player, Team
from tests.patches.test_patch_django import refill
from tests.plain.models import MODELS, Volume
from tests.support.answers import django_answer, turbo_answer
from turbo_orm import async_atomic, patch_django, run_sync, unpatch_django
from turbo_orm.query_cache.cache import cache

pytestmark = pytest.mark.usefixtures("library")

QUERYSETS = {
    "filter": lambda: Book.objects.filter(notes__text="note on 0"),
    "exclude": lambda: Book.objects.exclude(notes__text="note on 0").order_by("pk"),
    "exclude over a relation": lambda: Author.objects.exclude(books__notes__text="note on 0"),
    "exclude twice": lambda: (
        Book.objects.exclude(notes__text="note on 0").exclude(notes__text="note on 3")
    ).order_by("pk"),
    "a subquery that excludes": lambda: Author.objects.filter(
        books__in=Book.objects.exclude(notes__text="note on 0")
    ).distinct(),
}


@pytest.fixture(autouse=True)
def _cold():
    ContentType.objects.clear_cache()


@pytest.mark.parametrize("case", QUERYSETS)
def test_a_relation_is_filtered_before_anything_was_fetched(case, run):
    def sql():
        return [QUERYSETS[case]().values_list("pk").query.sql_with_params()]

    expected = sorted(QUERYSETS[case]().values_list("pk"))
    expected_sql = sql()
    # A call that is recorded asks for no content type.
    cache.clear()
    ContentType.objects.clear_cache()

    async def ask():
        found = sorted([row async for row in QUERYSETS[case]().values_list("pk")])
        cache.clear()
        ContentType.objects.clear_cache()
        queryset = QUERYSETS[case]().values_list("pk")
        return found, await run_sync(lambda: [queryset.query.sql_with_params()])

    assert run(ask) == (expected, expected_sql)


async def add(player):
    await player.comments.acreate(text="new")
    return [comment.text async for comment in player.comments.all()]


async def assign(player):
    comment = Comment(text="new", target=player)
    await comment.asave()
    return comment.object_id == player.pk


async def prefetched(player):
    await Comment.objects.acreate(text="new", target=player)
    (comment,) = await Comment.objects.prefetch_related("target").alist()
    return comment.target.name


TOUCHED = {"a relation": add, "an assignment": assign, "a prefetched target": prefetched}


@pytest.mark.parametrize("fetched", ["aget", "alist", "aiterator", "in a transaction"])
@pytest.mark.parametrize("case", TOUCHED)
def test_what_has_been_fetched_is_touched(case, fetched, scratch, run):
    Player.objects.create(name="Ada")

    async def fetch():
        if fetched == "aget":
            return await Player.objects.aget(name="Ada")
        if fetched == "alist":
            return (await Player.objects.alist())[0]
        (player,) = [player async for player in Player.objects.aiterator()]
        return player

    async def touch():
        if fetched != "in a transaction":
            return await TOUCHED[case](await fetch())
        async with async_atomic():
            return await TOUCHED[case](await Player.objects.aget(name="Ada"))

    expected = {"a relation": ["new"], "an assignment": True, "a prefetched target": "Ada"}
    assert run(touch) == expected[case]


def test_what_has_been_made_is_touched(scratch, run):
    async def touch():
        for name in ["Ada", "Bo", "Cy"]:
            ContentType.objects.clear_cache()
            assert await add(await Player.objects.acreate(name=name)) == ["new"]

    run(touch)


def test_models_with_managers_of_djangos(run):
    refill()
    expected = len(Volume.objects.exclude(remarks__text="on 1")), "on 2"
    ContentType.objects.clear_cache()
    patch_django()

    async def touch():
        excluded = Volume.objects.exclude(remarks__text="on 1")
        volumes = [volume async for volume in excluded]
        found = next(volume for volume in volumes if volume.title == "volume 2")
        return len(volumes), (await found.remarks.aget()).text

    try:
        assert run(touch) == expected
    finally:
        unpatch_django()
        for model in MODELS:
            model.objects.all().delete()


def test_content_types_are_fetched_once(scratch, run):
    """And where no log shows them: the statements are Django's."""
    Team.objects.create(name="red")

    async def ask():
        return (await Team.objects.aget(name="red")).name

    expected = django_answer(lambda: Team.objects.get(name="red").name)
    ContentType.objects.clear_cache()
    assert run(lambda: turbo_answer(ask)) == expected


def test_a_content_type_that_is_not_there_says_what_to_await(run):
    async def ask():
        with pytest.raises(SynchronousOnlyOperation, match="The content type of Book") as caught:
            ContentType.objects.get_for_model(Book)
        assert "await turbo_orm.run_sync(ContentType.objects.get_for_model, Book)" in str(
            caught.value
        )
        await run_sync(ContentType.objects.get_for_model, Book)
        return ContentType.objects.get_for_model(Book).model

    assert run(ask) == "book"


def test_an_assignment_before_anything_was_fetched_says_what_to_await(run):
    async def ask():
        with pytest.raises(SynchronousOnlyOperation, match="run_sync"):
            Note(text="new", target=Book(pk=1))

    run(ask)
