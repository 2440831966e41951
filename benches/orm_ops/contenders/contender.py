"""A contender with a method for each operation on a journal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from operator import attrgetter, itemgetter
from types import ModuleType
from typing import Any

from django.db.models import Model

from benches.harness import contender
from benches.harness.pool import SIZE
from benches.orm_ops.work import Entry, Page

type Written = Any  # None, or a coroutine that returns it
type Read = AsyncIterator[list[Any]] | Iterator[list[Any]]


class Contender(contender.Contender):
    """An ORM. An operation gets a journal and a share of the work, and does it item by item.

    Operations are coroutine functions, or plain ones of a contender that is not async. Those that
    read are generators: they yield the results of each query.
    """

    connections = SIZE
    #: The module of the journals' models for this ORM, if they are not Django's.
    models: ModuleType | None = None

    def journal(self, model: type[Model]) -> Any:
        """Return this ORM's model of a table."""
        return model if self.models is None else getattr(self.models, model.__name__)

    def instances(self, journal: Any, rows: int) -> Any:
        """Return the first rows, which are to be updated or deleted, or a coroutine of them."""
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
        """Change the level and the text of each, and save all its fields, in a transaction."""
        raise NotImplementedError

    def update_partial(self, journal: Any, instances: Sequence[Any]) -> Written:
        """Change the level of each, and save that field, in a transaction."""
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
