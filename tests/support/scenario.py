"""Steps that change the database, written once and played twice on equal data.

Django plays them by its sync ORM, turbo-orm by the ``a*`` methods. What they return or raise, the
statements, and what is in the tables afterwards have to be equal.
"""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, nullcontext
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import connections, transaction
from django_async_backend.db import async_connections

from tests.library.data import WRITTEN
from tests.support.answers import django_answer, turbo_answer
from tests.support.tables import written
from turbo_orm import async_atomic, async_connection, bridge


class DjangoPlayer:
    """Plays the steps by Django's sync methods."""

    async def call(self, owner: Any, method: str, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(owner, method)(*args, **kwargs)

    async def list(self, queryset: Any) -> list[Any]:
        return list(queryset)

    async def iterate(self, queryset: Any, **kwargs: Any) -> Any:
        return list(queryset.iterator(**kwargs))

    async def run(self, function: Callable[[], Any]) -> Any:
        return function()

    async def close(self) -> None:
        connections["default"].close()

    @asynccontextmanager
    async def atomic(self, **kwargs: Any) -> AsyncIterator[None]:
        with transaction.atomic(**kwargs):
            yield

    def session(self) -> Any:
        """Keep one connection for a block that changes its session."""
        return nullcontext()


class TurboPlayer:
    """Plays the steps by the async methods of the same names."""

    async def call(self, owner: Any, method: str, /, *args: Any, **kwargs: Any) -> Any:
        return await getattr(owner, f"a{method}")(*args, **kwargs)

    async def list(self, queryset: Any) -> list[Any]:
        return await queryset.alist()

    async def iterate(self, queryset: Any, **kwargs: Any) -> Any:
        async with aclosing(queryset.aiterator(**kwargs)) as objects:
            return [instance async for instance in objects]

    async def run(self, function: Callable[[], Any]) -> Any:
        return await bridge.run(function)

    def session(self) -> Any:
        return async_connection()

    async def close(self) -> None:
        await async_connections["default"].close()

    @asynccontextmanager
    async def atomic(self, **kwargs: Any) -> AsyncIterator[None]:
        async with async_atomic(**kwargs):
            yield


type Player = DjangoPlayer | TurboPlayer
type Scenario = Callable[[Player], Coroutine[Any, Any, Any]]


class Play:
    """Plays scenarios, and compares. Each finds in the tables what ``given`` puts there."""

    def __init__(self, run: Callable[..., Any], empty: Callable[[], None]) -> None:
        self._run = run
        self._empty = empty

    def __call__(
        self,
        scenario: Scenario,
        *,
        given: Callable[[], Any] = lambda: None,
        raises: type[BaseException] | None = None,
    ) -> dict[str, Any]:
        """Return the answer that both gave. An exception is an answer where it is expected."""
        expected = self._begin_with(given, lambda: django_answer(without_loop(scenario)))
        answer = self._begin_with(
            given, lambda: self._run(lambda: turbo_answer(lambda: scenario(TurboPlayer())))
        )
        assert answer == expected
        raised, _ = answer.get("raised", (None, None))
        assert issubclass(raised, raises) if raises and raised else raised is raises, answer
        return answer

    def _begin_with(self, given: Callable[[], Any], play: Callable[[], Any]) -> dict[str, Any]:
        self._empty()
        given()
        # Django remembers content types: have it know all, so that neither has to ask first.
        ContentType.objects.get_for_models(*apps.get_models())
        answer: dict[str, Any] = play()
        return {**answer, "tables": contents()}


def without_loop(scenario: Scenario) -> Callable[[], Any]:
    """Return a function that runs the coroutine by hand: Django's sync ORM refuses a loop."""

    def play() -> Any:
        try:
            scenario(DjangoPlayer()).send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("A scenario must not wait for anything but the player.")

    return play


def contents() -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of all tables that tests write to, by table."""
    found: dict[str, list[tuple[Any, ...]]] = {model._meta.db_table: [] for model in WRITTEN}
    # The others have no rows.
    tables = written("default", found)
    with connections["default"].cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT * FROM {table}")
            found[table] = sorted(cursor.fetchall(), key=repr)
    return found
