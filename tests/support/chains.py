"""Chains of queryset methods, played with one value after another: the first is traced.

Django's answer is that of a queryset without a cached chain, on a sync connection. What is refused
when a method is called has to be refused there, and not when the rows are asked for.
"""

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType

from tests.support.answers import django_answer, django_hydrates, turbo_answer
from turbo_orm.query_cache.cache import cache

type Make = Callable[[Any], Any]

# What Django's sync method is called, by that of ours.
TERMINALS = {
    "alist": list,
    "aget": lambda queryset: queryset.get(),
    "afirst": lambda queryset: queryset.first(),
    "alast": lambda queryset: queryset.last(),
    "acount": lambda queryset: queryset.count(),
    "aexists": lambda queryset: queryset.exists(),
}


class Chains:
    """Plays a chain by Django and by turbo-orm, with each value in turn, and compares."""

    def __init__(self, run: Callable[..., Any]) -> None:
        self._run = run
        # Django remembers content types: have it know all, so that neither has to ask first.
        ContentType.objects.get_for_models(*apps.get_models())

    def __call__(
        self, make: Make, *values: Any, terminal: str = "alist", afresh: bool = True
    ) -> list[dict[str, Any]]:
        """Return the answers that both gave. The cache is cleared before if ``afresh``."""
        if afresh:
            cache.clear()
        expected = [django_plays(make, value, terminal) for value in values]

        async def play() -> list[dict[str, Any]]:
            return [await turbo_plays(make, value, terminal) for value in values]

        answers: list[dict[str, Any]] = self._run(play)
        for value, answer, django in zip(values, answers, expected, strict=True):
            assert answer == django, (value, terminal)
        return answers


def django_plays(make: Make, value: Any, terminal: str) -> dict[str, Any]:
    """Return what Django refuses, or else its answer."""
    with django_hydrates():
        try:
            queryset = make(value)
        except Exception as exc:
            return {"refused": (type(exc), str(exc))}
        return django_answer(lambda: TERMINALS[terminal](queryset))


async def turbo_plays(make: Make, value: Any, terminal: str) -> dict[str, Any]:
    """Return what turbo-orm refuses, or else its answer."""
    try:
        queryset = make(value)
    except Exception as exc:
        return {"refused": (type(exc), str(exc))}
    return await turbo_answer(getattr(queryset, terminal))
