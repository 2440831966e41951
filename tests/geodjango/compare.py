"""Compares what async code gets with what Django gives, in a project with GeoDjango."""

import contextlib
from collections.abc import Callable
from typing import Any

from django.contrib.gis.db import models
from django.contrib.gis.db.models import *  # noqa: F403
from django.contrib.gis.db.models.functions import *  # noqa: F403
from django.contrib.gis.geos import *  # noqa: F403
from django.contrib.gis.measure import D  # noqa: F401
from django.db.models import *  # noqa: F403

from tests.geodjango.places.data import *  # noqa: F403
from tests.geodjango.places.data import empty, fill, rows
from tests.geodjango.places.models import *  # noqa: F403
from tests.support.answers import django_answer, fingerprint, turbo_answer
from tests.support.event_loop import only_the_event_loop, run  # noqa: F401
from tests.support.reading import aiterator, alist, async_for
from tests.support.scenario import TurboPlayer, without_loop
from turbo_orm import *  # noqa: F403

# The aggregate, not the function of two geometries.
Union = models.Union

AGAIN = 2


def reading(text: str) -> str:
    """Read a queryset in every way, and return how the answer differs from Django's, or nothing.

    It is asked again, since what is asked once is compiled and then cached.
    """
    make = _made(f"lambda: {text}")
    # Django asks once in a process for a system of coordinates.
    django_answer(lambda: list(make()))
    expected = django_answer(lambda: list(make()))
    in_chunks = django_answer(lambda: list(make().iterator(chunk_size=3)))

    async def answers() -> list[tuple[Any, Any]]:
        found = []
        for _ in range(AGAIN):
            found.append((expected, await turbo_answer(lambda: alist(make()))))
            found.append((expected, await turbo_answer(lambda: async_for(make()))))
            found.append((in_chunks, await turbo_answer(lambda: aiterator(make()))))
            # Without a query log, what is cached is executed without a cursor.
            returned = await _outcome(lambda: alist(make()))
            found.append(({**expected, "statements": None}, {**returned, "statements": None}))
        return found

    differing = [pair for pair in run(answers) if pair[0] != pair[1]]
    return _difference(*differing[0]) if differing else ""


def playing(text: str) -> str:
    """Play a scenario by Django and in async code, and return how the answers differ."""
    names: dict[str, Any] = dict(globals())
    body = "\n    ".join(text.strip().splitlines())
    exec(f"async def scenario(player):\n    {body}", names)
    scenario = names["scenario"]
    for _ in range(2):
        # Django asks once in a process for a system of coordinates.
        fill()
        expected = {**django_answer(without_loop(scenario)), "rows": rows()}
    for play in (turbo_answer, turbo_answer, _outcome):
        fill()
        answer = run(lambda: play(lambda: scenario(TurboPlayer())))  # noqa: B023
        answer = {"statements": expected["statements"], **answer, "rows": rows()}
        if answer != expected:
            return _difference(expected, answer)
    return ""


def _difference(one: Any, other: Any, place: str = "") -> str:
    """Say what differs first, and where."""
    if type(one) is type(other) and isinstance(one, list | tuple) and len(one) == len(other):
        items = [(one[number], other[number], f"{place}[{number}]") for number in range(len(one))]
    elif isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        items = [(one[name], other[name], f"{place}.{name}") for name in one]
    else:
        return f"{place}: Django's is {one!r}, and that of async code {other!r}"
    return next((_difference(*item) for item in items if item[0] != item[1]), "")


async def _outcome(function: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"returned": fingerprint(await function())}
    except Exception as exc:
        return {"raised": (type(exc), str(exc))}


def _made(text: str) -> Any:
    return eval(text, globals())


def everything(readings: dict[str, str], scenarios: dict[str, str]) -> dict[str, str]:
    """Return how the answers to each differ from Django's."""
    fill()
    found = {}
    for name, text in readings.items():
        found[name] = _said(reading, text)
    for name, text in scenarios.items():
        found[name] = _said(playing, text)
    empty()
    return found


def _said(compare: Callable[[str], str], text: str) -> str:
    try:
        return compare(text)
    except Exception as exc:
        with contextlib.suppress(Exception):
            return f"{type(exc).__name__}: {exc}"
        return type(exc).__name__
