"""Every way of reading a queryset, held against Django's answer to it."""

from collections.abc import Callable, Iterable
from contextlib import aclosing
from typing import Any, NamedTuple

from django.apps import apps
from django.contrib.contenttypes.models import ContentType

from tests.support.answers import django_answer, sync_answer, turbo_answer

CHUNK = 3

type Make = Callable[[], Any]


class Way(NamedTuple):
    """A way of reading in sync code, and those that it goes by in async code."""

    sync: Callable[[Any], list[Any]]
    others: list[Callable[[Any], Any]]


async def alist(queryset: Any) -> list[Any]:
    return await queryset.alist()


async def async_for(queryset: Any) -> list[Any]:
    return [result async for result in queryset]


async def aiterator(queryset: Any) -> list[Any]:
    async with aclosing(queryset.aiterator(chunk_size=CHUNK)) as results:
        return [result async for result in results]


WHOLE = Way(list, [alist, async_for])
IN_CHUNKS = Way(lambda queryset: list(queryset.iterator(chunk_size=CHUNK)), [aiterator])


class Read:
    """Reads a queryset in every way, async and sync, and compares each with Django's answer."""

    def __init__(self, run: Callable[..., Any]) -> None:
        self._run = run
        # Django remembers content types: have it know all, so that no reading has to ask first.
        ContentType.objects.get_for_models(*apps.get_models())

    def __call__(self, make: Make, *, raises: type[BaseException] | None = None) -> dict[str, Any]:
        """Return the answer that all gave. An exception is one where it is expected."""
        expected, _ = self._answers((make, WHOLE), (make, IN_CHUNKS))
        raised, _ = expected.get("raised", (None, None))
        assert issubclass(raised, raises) if raises and raised else raised is raises, expected
        return expected

    def each(self, makes: Iterable[Make]) -> list[dict[str, Any]]:
        """Read each all at once, and return the answers, whatever they are."""
        return self._answers(*((make, WHOLE) for make in makes))

    def _answers(self, *readings: tuple[Make, Way]) -> list[dict[str, Any]]:
        """Return Django's answers. Each reading has a queryset of its own: one without a cache."""
        expected, asked = [], []
        for make, way in readings:
            django, sync = make(), make()
            answer = django_answer(lambda: way.sync(django))  # noqa: B023
            assert sync_answer(lambda: way.sync(sync)) == answer  # noqa: B023
            expected.append(answer)
            asked += [(ask, make(), answer) for ask in way.others]

        async def answers() -> list[dict[str, Any]]:
            return [await turbo_answer(lambda: ask(ours)) for ask, ours, _ in asked]  # noqa: B023

        for (_, _, answer), ours in zip(asked, self._run(answers), strict=True):
            assert ours == answer
        return expected
