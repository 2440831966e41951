"""An ORM that does the operations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from operator import attrgetter, itemgetter
from types import ModuleType
from typing import Any

from django.db.models import Model

from benches.orm_ops.work import Entry, Page

type Written = Any  # nothing: a coroutine, or None where there are no tasks
type Read = AsyncIterator[list[Any]] | Iterator[list[Any]]


class Contender:
    """One ORM. An operation gets a journal and a task's share, and does it one after the other.

    Those that read yield the results of each query.
    """

    name: str
    # Whether operations are coroutine functions and async generators, for ten tasks: if not, they
    # are called in ten threads.
    is_async = True
    # What has the journals in this ORM's terms, if not Django.
    models: ModuleType | None = None

    async def open(self) -> None:
        """Make a pool of ten connections, unless the first query does."""

    async def close(self) -> None:
        """Close it, unless somebody else does."""

    def journal(self, model: type[Model]) -> Any:
        """Return this ORM's model of a table."""
        return model if self.models is None else getattr(self.models, model.__name__)

    def instances(self, journal: Any, rows: int) -> Any:
        """Return the first rows, or a coroutine that does: what is updated and deleted."""
        raise NotImplementedError

    def insert_single(self, journal: Any, entries: Sequence[Entry]) -> Written:
        raise NotImplementedError

    def insert_batch(self, journal: Any, entries: Sequence[Entry]) -> Written:
        """Insert rows one by one, in a transaction."""
        raise NotImplementedError

    def insert_bulk(self, journal: Any, entries: Sequence[Entry]) -> Written:
        raise NotImplementedError

    def filter_large(self, journal: Any, levels: Sequence[int]) -> Read:
        raise NotImplementedError

    def filter_small(self, journal: Any, pages: Sequence[Page]) -> Read:
        raise NotImplementedError

    def get(self, journal: Any, keys: Sequence[int]) -> Read:
        raise NotImplementedError

    def filter_dict(self, journal: Any, levels: Sequence[int]) -> Read:
        raise NotImplementedError

    def filter_tuple(self, journal: Any, levels: Sequence[int]) -> Read:
        raise NotImplementedError

    def update_whole(self, journal: Any, instances: Sequence[Any]) -> Written:
        """Change the level and the text of each, and save all that it has, in a transaction."""
        raise NotImplementedError

    def update_partial(self, journal: Any, instances: Sequence[Any]) -> Written:
        """Change the level of each, and save that alone, in a transaction."""
        raise NotImplementedError

    def delete(self, journal: Any, instances: Sequence[Any]) -> Written:
        """Delete one by one, in a transaction."""
        raise NotImplementedError

    def values(self, model: type[Model], results: list[Any]) -> list[tuple[Any, ...]]:
        """Return the values of results, in the order of Django's columns."""
        names = [field.attname for field in model._meta.concrete_fields]
        match results:
            case [Mapping(), *_]:
                return [*map(itemgetter(*names), results)]
            case [Sequence(), *_]:
                return [*map(tuple, results)]
        return [*map(attrgetter(*names), results)]
