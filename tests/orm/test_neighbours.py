"""The instances before and after one: by a date, and in an order with respect to another."""

import datetime
import uuid

import pytest
from django.core.exceptions import SynchronousOnlyOperation

from tests.library.models import Event
from tests.library.options import Poem, Stanza

# By a date


def events():
    days = [3, 1, 2, 2]
    Event.objects.bulk_create(
        Event(
            name=f"event {i}",
            token=uuid.UUID(int=i),
            created=datetime.datetime(2026, 1, day, tzinfo=datetime.UTC),
        )
        for i, day in enumerate(days)
    )


BY_DATE = {
    "the next": (3, "get_next_by_created", {}, None),
    "the previous": (3, "get_previous_by_created", {}, None),
    "the next of the same day": (4, "get_previous_by_created", {}, None),
    "the next of some": (2, "get_next_by_created", {"name__gte": "event 3"}, None),
    "after the last": (1, "get_next_by_created", {}, Event.DoesNotExist),
    "before the first": (2, "get_previous_by_created", {}, Event.DoesNotExist),
}


@pytest.mark.parametrize("case", BY_DATE)
def test_neighbours_by_date(case, play):
    pk, method, kwargs, error = BY_DATE[case]

    async def steps(orm):
        event = await orm.call(Event.objects, "get", pk=pk)
        neighbour = await orm.run(lambda: getattr(event, method)(**kwargs))
        return neighbour.name, neighbour.created

    play(steps, given=events, raises=error)


@pytest.mark.parametrize("method", ["get_next_by_created", "get_previous_by_created"])
def test_an_unsaved_instance_has_no_neighbours(method, play):
    async def steps(orm):
        await orm.run(getattr(Event(), method))

    play(steps, raises=ValueError)


# In an order with respect to another


def stanzas():
    Poem.objects.bulk_create([Poem(title="short"), Poem(title="long")])
    for text in ["first", "second", "third"]:
        Stanza.objects.create(poem_id=2, text=text)


def test_a_new_one_is_the_last(play):
    async def steps(orm):
        poem = await orm.call(Poem.objects, "get", title="long")
        through_manager = await orm.call(poem.stanzas, "create", text="fourth")
        saved = Stanza(poem_id=1, text="only")
        await orm.call(saved, "save")
        return through_manager, saved

    play(steps, given=stanzas)


IN_ORDER = {
    "the next": (1, "get_next_in_order", None),
    "the previous": (2, "get_previous_in_order", None),
    "after the last": (3, "get_next_in_order", Stanza.DoesNotExist),
    "before the first": (1, "get_previous_in_order", Stanza.DoesNotExist),
}


@pytest.mark.parametrize("case", IN_ORDER)
def test_neighbours_in_order(case, play):
    pk, method, error = IN_ORDER[case]

    async def steps(orm):
        stanza = await orm.call(Stanza.objects, "get", pk=pk)
        once = await orm.run(getattr(stanza, method))
        again = await orm.run(getattr(stanza, method))
        return once, again is once

    play(steps, given=stanzas, raises=error)


def test_the_order_is_a_queryset(play):
    async def steps(orm):
        poem = await orm.call(Poem.objects, "get", title="long")
        return await orm.list(poem.get_stanza_order())

    assert play(steps, given=stanzas)["returned"][2] == [(int, 1), (int, 2), (int, 3)]


def test_the_order_is_set(play):
    async def steps(orm):
        poem = await orm.call(Poem.objects, "get", title="long")
        await orm.run(lambda: poem.set_stanza_order([3, 1, 2]))
        return await orm.list(poem.stanzas.all()), await orm.list(poem.get_stanza_order())

    answer = play(steps, given=stanzas)
    assert [row[-1] for row in answer["tables"]["library_stanza"]] == [1, 2, 0]


REFUSED = {
    "get_next_by_created": lambda: Event(pk=1).get_next_by_created(),
    "get_previous_by_created": lambda: Event(pk=1).get_previous_by_created(),
    "get_next_in_order": lambda: Stanza(pk=1, poem_id=2).get_next_in_order(),
    "get_previous_in_order": lambda: Stanza(pk=1, poem_id=2).get_previous_in_order(),
    "set_stanza_order": lambda: Poem(pk=2).set_stanza_order([1]),
}


@pytest.mark.parametrize("method", REFUSED)
def test_neighbours_are_refused_in_the_event_loop(method, scratch, run):
    async def ask():
        REFUSED[method]()

    with pytest.raises(SynchronousOnlyOperation):
        run(ask)
