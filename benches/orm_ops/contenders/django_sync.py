"""Django on its sync connections, in ten threads."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import transaction

from benches import names
from benches.orm_ops.contenders.contender import Contender
from benches.orm_ops.work import LIMIT, Entry, Page, next_level


class DjangoSync(Contender):
    name = names.DJANGO_SYNC
    is_async = False

    def instances(self, journal: Any, rows: int) -> list[Any]:
        return list(journal.threaded.order_by("id")[:rows])

    def insert_single(self, journal: Any, entries: Sequence[Entry]) -> None:
        for level, text in entries:
            journal.threaded.create(level=level, text=text)

    def insert_batch(self, journal: Any, entries: Sequence[Entry]) -> None:
        with transaction.atomic():
            for level, text in entries:
                journal.threaded.create(level=level, text=text)

    def insert_bulk(self, journal: Any, entries: Sequence[Entry]) -> None:
        journal.threaded.bulk_create([journal(level=level, text=text) for level, text in entries])

    def filter_large(self, journal: Any, levels: Sequence[int]) -> Iterator[list[Any]]:
        for level in levels:
            yield list(journal.threaded.filter(level=level))

    def filter_small(self, journal: Any, pages: Sequence[Page]) -> Iterator[list[Any]]:
        for level, offset in pages:
            yield list(journal.threaded.filter(level=level)[offset : offset + LIMIT])

    def get(self, journal: Any, keys: Sequence[int]) -> Iterator[list[Any]]:
        for key in keys:
            yield [journal.threaded.get(id=key)]

    def filter_dict(self, journal: Any, levels: Sequence[int]) -> Iterator[list[Any]]:
        for level in levels:
            yield list(journal.threaded.filter(level=level).values())

    def filter_tuple(self, journal: Any, levels: Sequence[int]) -> Iterator[list[Any]]:
        for level in levels:
            yield list(journal.threaded.filter(level=level).values_list())

    def update_whole(self, journal: Any, instances: Sequence[Any]) -> None:
        with transaction.atomic():
            for instance in instances:
                instance.level = next_level(instance.level)
                instance.text = f"{instance.text} Update"
                instance.save()

    def update_partial(self, journal: Any, instances: Sequence[Any]) -> None:
        with transaction.atomic():
            for instance in instances:
                instance.level = next_level(instance.level)
                instance.save(update_fields=["level"])

    def delete(self, journal: Any, instances: Sequence[Any]) -> None:
        with transaction.atomic():
            for instance in instances:
                instance.delete()
