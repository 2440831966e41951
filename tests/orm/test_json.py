"""``ajson()`` and ``json()``: the bytes that Django's encoder makes of the list."""

import asyncio
import json

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DataError
from django.db.models import Count, F, Func, IntegerField, Value
from django.db.models.functions import Cast, Length
from django.db.models.query import ModelIterable
from django.test import override_settings

from tests.hydration.test_fields import MODELS
from tests.hydration.test_kinds import CONVERTING
from tests.hydration.test_values import COMBINED, LISTED, VALUES
from tests.library.fields import Bag
from tests.library.models import Account, Author, Book, Sample
from tests.support.answers import django_answer
from tests.support.querysets import QUERYSETS
from turbo_orm import async_atomic, bridge, explain_cache, explain_hydration
from turbo_orm.execution import fetching
from turbo_orm.query_cache.cache import cache


def dumps(objects):
    return json.dumps(list(objects), cls=DjangoJSONEncoder).encode()


def agree(make, run):
    """Compare with what Django makes: as it is traced, as it is cached, and in sync code."""
    if is_of_instances(make()):
        return agree(lambda: make().values(), run)
    answer = django_answer(lambda: dumps(make()))
    expected = answer.get("returned", answer.get("raised"))
    cache.clear()

    # Some are made by a query.
    querysets = [make() for _ in range(6)]

    async def ask():
        return [await outcome_of(queryset.ajson) for queryset in querysets[2:]]

    async def ask_on_the_bridge():
        return await bridge.run(lambda: [outcome(queryset.json) for queryset in querysets[:2]])

    for answers in (run(ask), run(ask_on_the_bridge), [outcome(make().json) for _ in range(2)]):
        assert all(each == expected for each in answers), (answers, expected)
    return expected


def outcome(function):
    try:
        return (bytes, function())
    except Exception as exc:
        return type(exc), str(exc)


async def outcome_of(function):
    try:
        return (bytes, await function())
    except Exception as exc:
        return type(exc), str(exc)


@pytest.fixture(autouse=True)
def _cache(library, empty_cache):
    """Have each statement be traced anew."""


@pytest.mark.parametrize("case", QUERYSETS)
def test_a_queryset(case, run):
    agree(QUERYSETS[case], run)


@pytest.mark.parametrize("kind", LISTED)
@pytest.mark.parametrize("case", VALUES)
def test_values(case, kind, run):
    queryset, names = VALUES[case]
    agree(lambda: LISTED[kind](queryset, names), run)


def is_of_instances(queryset):
    return issubclass(queryset._iterable_class, ModelIterable)


@pytest.mark.parametrize(
    "case", [case for case in COMBINED if not is_of_instances(COMBINED[case]())]
)
def test_combined_querysets(case, run):
    agree(COMBINED[case], run)


@pytest.mark.parametrize("case", CONVERTING)
def test_fields_that_convert(case, run):
    agree(lambda: CONVERTING[case]().order_by("pk" if case != "combined" else "colour"), run)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_field_of_a_model(model, run):
    for field in model._meta.concrete_fields:
        agree(lambda: model.objects.order_by("pk").values_list(field.name, flat=True), run)  # noqa: B023


def test_hstore(extended, run):
    kind, _ = agree(lambda: Bag.objects.order_by("pk").values(), run)
    assert kind is bytes


def test_a_query_that_matches_nothing(run):
    for make in (
        lambda: Book.objects.none().values(),
        lambda: Book.objects.filter(pk=-1).values_list("pk"),
    ):
        assert agree(make, run) == (bytes, b"[]")


BOOKS = Book.objects.order_by("pk").values("pk", "title", "pages")


def test_values_go_with_the_statement(run):
    """A cached statement is bound to other values, and other limits."""

    def answers(of):
        return [of(BOOKS.filter(pages__gt=pages)[:stop]) for pages in (10, 200) for stop in (1, 5)]

    async def ask():
        return [
            await BOOKS.filter(pages__gt=pages)[:stop].ajson()
            for pages in (10, 10, 10, 200)
            for stop in (1, 5)
        ]

    assert run(ask)[4:] == answers(dumps)
    assert answers(lambda queryset: queryset.json()) == answers(dumps)


class Upside(IntegerField):
    def from_db_value(self, value, expression, connection):
        # It may query, where the code runs.
        return -Book.objects.filter(pk=value).count()


SLICES = {
    "native": lambda: BOOKS.all(),
    "with a converter": lambda: (
        Author.objects.order_by("pk")
        .annotate(n=Func(Value("2"), function="length", output_field=Upside()))
        .values()
    ),
}


@pytest.mark.parametrize("case", SLICES)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_more_rows_than_are_written_at_a_time(case, size, run, monkeypatch):
    monkeypatch.setattr(fetching, "SLICE", size)
    kind, written = agree(SLICES[case], run)
    assert kind is bytes
    assert len(json.loads(written)) > 3


@pytest.mark.parametrize("hit", [True, False])
def test_the_event_loop_gets_its_turns(hit, run, monkeypatch):
    """Between slices, be they of rows, or of objects that Django's encoder is called with."""
    monkeypatch.setattr(fetching, "SLICE", 1)
    monkeypatch.setattr(bridge.Checkpoints, "INTERVAL", 0)
    turns = []

    async def take_turns():
        while True:
            await asyncio.sleep(0)
            turns.append(None)

    async def ask():
        queryset = BOOKS.all()
        for _ in range(3):
            await queryset.ajson()
        if not hit:
            await queryset.alist()
        task = asyncio.create_task(take_turns())
        before = len(turns)
        written = await queryset.ajson()
        task.cancel()
        return len(turns) - before, written

    taken, written = run(ask)
    assert taken >= len(json.loads(written)) - 1


def test_results_that_it_has_are_written_without_a_query(run):
    async def ask():
        queryset = BOOKS.all()
        listed = await queryset.alist()
        await Account.objects.acount()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("turbo_orm.execution.direct.execute", None)
            return await queryset.ajson(), listed

    written, listed = run(ask)
    assert written == dumps(listed)
    queryset = BOOKS.all()
    assert len(queryset) > 3
    queryset._result_cache.pop()
    assert queryset.json() == dumps(queryset)


def test_results_are_not_kept(run):
    async def ask():
        queryset = BOOKS.all()
        for _ in range(4):
            await queryset.ajson()
            assert queryset._result_cache is None

    run(ask)
    queryset = BOOKS.all()
    queryset.json()
    assert queryset._result_cache is None


def test_the_rows_of_a_cached_statement_become_no_objects(run, monkeypatch):
    async def ask():
        queryset = BOOKS.all()
        for _ in range(3):
            await queryset.ajson()
        assert explain_cache(queryset, "ajson").outcome == "hit"
        monkeypatch.setattr("turbo_orm.orm.as_json.MadeRows", None)
        monkeypatch.setattr("turbo_orm.execution.json_rows._encode", None)
        return await queryset.ajson()

    assert run(ask) == dumps(BOOKS)
    assert BOOKS.all().json() == dumps(BOOKS)


INSTANCES = {
    "a queryset": Book.objects.filter(pk=1),
    "deferred": Book.objects.only("pk"),
    "nothing": Book.objects.none(),
}


@pytest.mark.parametrize("case", INSTANCES)
def test_instances_are_refused(case, run):
    hint = r"An instance of Book has no JSON. Select .* by values\(\) or values_list\(\)\."
    with pytest.raises(TypeError, match=hint):
        run(INSTANCES[case].ajson)
    with pytest.raises(TypeError, match=hint):
        INSTANCES[case].json()


def test_in_a_transaction(scratch, run):
    async def ask():
        queryset = Account.objects.values("owner")
        written = []
        for owner in "abc":
            async with async_atomic():
                await Account.objects.acreate(owner=owner, balance=1)
                written.append(await queryset.order_by("owner").ajson())
        return written

    assert [json.loads(each) for each in run(ask)] == [
        [{"owner": owner} for owner in "abc"[:number]] for number in (1, 2, 3)
    ]


@override_settings(DEBUG=True)
def test_statements_that_are_logged(run):
    async def ask():
        return [await BOOKS.all().ajson() for _ in range(4)]

    assert set(run(ask)) == {dumps(BOOKS)}


def test_a_value_that_python_does_not_have(run):
    kind, _ = agree(
        lambda: Book.objects.annotate(
            never=Cast(Value("infinity"), Book._meta.get_field("published"))
        ).values("never"),
        run,
    )
    assert kind is DataError


def test_what_the_encoder_refuses(run):
    kind, message = agree(lambda: Sample.objects.order_by("pk").values_list("pk", "blob"), run)
    assert (kind, message) == (TypeError, "Object of type bytes is not JSON serializable")


def test_prefetches_of_what_are_no_instances(run):
    agree(lambda: Author.objects.prefetch_related("books").values("name"), run)


def test_an_event_loop_without_the_bridge(run):
    async def ask():
        BOOKS.all().json()

    with pytest.raises(SynchronousOnlyOperation):
        run(ask)


def test_a_prepared_statement(run):
    async def ask():
        return [await BOOKS.filter(pages__gt=10).ajson() for _ in range(12)]

    assert set(run(ask)) == {dumps(BOOKS.filter(pages__gt=10))}


def test_explain_hydration_tells_which_columns_are_written_natively():
    queryset = Author.objects.annotate(n=Count("books"), length=Length("name"))
    assert "ajson()" not in str(explain_hydration(queryset))
    assert "ajson() makes no Python objects" in str(explain_hydration(queryset.values()))
    explained = explain_hydration(
        queryset.annotate(odd=Func(F("pk"), function="abs", output_field=Upside())).values()
    )
    assert "ajson() makes Python objects of odd, for Django's encoder" in str(explained)
    assert [column.name for column in explained.columns if not column.writes_json] == ["odd"]
