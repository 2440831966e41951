"""The URLconf of a request is stored and deleted as by Django's own function."""

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from threading import Thread
from typing import Any

import pytest
from asgiref import local
from asgiref.sync import async_to_sync, sync_to_async
from django.core.handlers import base
from django.urls import get_urlconf
from django.urls import set_urlconf as djangos

from tests.support.counting import python_calls

ours: Callable[[Any], None] = base.set_urlconf  # type: ignore[attr-defined]


def _found(set_urlconf: Any) -> list[Any]:
    """Return what is found in many places, with what was set in others."""
    found = []

    def note(*names: Any) -> None:
        for name in names:
            set_urlconf(name)
            found.append(get_urlconf("nothing"))

    def in_thread() -> None:
        thread = Thread(target=copy_context().run, args=(lambda: found.append(get_urlconf("-")),))
        thread.start()
        thread.join()

    async def asynchronously() -> None:
        found.append(get_urlconf("nothing"))
        note("of a coroutine")
        await asyncio.create_task(sync_to_async(note)("of a task"))
        found.append(get_urlconf("nothing"))
        await sync_to_async(note)("of a thread")
        found.append(get_urlconf("nothing"))
        await asyncio.to_thread(in_thread)
        await sync_to_async(note)(None)
        note("again")

    note(None, "first", "second", "second", None, None, "", "third")
    copy_context().run(note, "of a copy", None, "of a copy")
    found.append(get_urlconf("nothing"))
    in_thread()
    async_to_sync(asynchronously)()
    found.append(get_urlconf("nothing"))
    note(None)
    in_thread()
    return found


def test_it_is_set_and_deleted_as_by_django() -> None:
    expected = Context().run(_found, djangos)
    assert {"first", "third", "of a copy", "of a task", "of a thread"} <= {*expected}
    assert Context().run(_found, ours) == expected


@pytest.mark.parametrize("first", [ours, djangos])
def test_each_finds_what_the_other_has_set(first: Any) -> None:
    second = djangos if first is ours else ours

    def found() -> list[Any]:
        first("first")
        names = [get_urlconf()]
        second(None)
        names.append(get_urlconf())
        second("second")
        first(None)
        return [*names, get_urlconf()]

    assert Context().run(found) == ["first", None, None]


@pytest.mark.skipif(not hasattr(local, "_Storage"), reason="asgiref stores dictionaries")
def test_it_takes_few_calls() -> None:
    def count() -> int:
        with python_calls() as called:
            ours("urls")
            ours(None)
        return len([each for each in called if each.module.startswith(("asgiref.", "turbo_orm."))])

    # With those that make asgiref's storage.
    assert Context().run(count) == 4
