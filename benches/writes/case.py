"""Bulk writes of a narrow table and a wide one."""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Model

from benches.harness.case import Case
from benches.harness.harness import Harness
from benches.tables.data import fill
from benches.writes.contenders import DjangoSync, Writer

CREATED = 5_000
UPDATED = 1_000
FIELDS = ["title", "price", "quantity"]
# New rows have keys from here on.
FIRST = 1_000_001

DJANGO_SYNC = DjangoSync()


@dataclass(frozen=True)
class Bulk(Case):
    """A bulk write. Each round writes fresh instances to a table that is in the same state."""

    model: type[Model]
    contender: Writer

    reference = DJANGO_SYNC
    shape = ""
    written = 0

    def __str__(self) -> str:
        return f"{self.table}-{self.contender.name}"

    @property
    def table(self) -> str:
        """The table's name in the report."""
        return self.model.__name__.lower()

    @property
    def group(self) -> str:
        return f"{self.table} {self.shape}, {self.written:,} rows"

    @property
    def subject(self) -> dict[str, Any]:
        return {"table": self.table, "shape": self.shape, "rows": self.written}


class Create(Bulk):
    """Inserts copies of the table's first rows."""

    shape = "create"
    written = CREATED

    def prepare(self, harness: Harness) -> Any:
        self._delete()
        names = _names(self.model)
        values = self.model.threaded.order_by("pk").values(*names)[:CREATED]
        rows = self.contender.rows([self.model(**each) for each in values])
        gc.collect()
        return rows

    def work(self) -> Callable[[Any], Any]:
        return self.contender.create

    def answer(self, harness: Harness) -> list[Any]:
        fill(self.model)
        harness.call(self)(self.prepare(harness))
        left = self._left()
        self._delete()
        return left

    def finish(self, harness: Harness, result: None) -> None:
        assert len(self._left()) == CREATED
        self._delete()

    def _left(self) -> list[Any]:
        created = self.model.threaded.filter(pk__gte=FIRST).order_by("pk")
        return list(created.values_list("pk", *_names(self.model)))

    def _delete(self) -> None:
        table = self.model._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {table} WHERE id >= {FIRST}")
            cursor.execute(f"ALTER SEQUENCE {table}_id_seq RESTART WITH {FIRST}")


class Update(Bulk):
    """Updates some fields of the table's first rows, to the values that they have."""

    shape = f"update of {len(FIELDS)} fields"
    written = UPDATED

    def prepare(self, harness: Harness) -> list[Any]:
        instances = list(self.model.threaded.order_by("pk")[:UPDATED])
        gc.collect()
        return instances

    def work(self) -> Callable[[Any], Any]:
        update = self.contender.update
        return lambda instances: update(instances, FIELDS)

    def answer(self, harness: Harness) -> list[Any]:
        """Return what is left once each row has the values of the next one."""
        fill(self.model)
        before, others = self.prepare(harness), self.prepare(harness)
        for instance, other in zip(others, [*before[1:], before[0]], strict=True):
            for field in FIELDS:
                setattr(instance, field, getattr(other, field))
        assert harness.call(self)(others) == UPDATED
        left = list(self.model.threaded.order_by("pk").values_list("pk", *FIELDS)[:UPDATED])
        DJANGO_SYNC.update(before, FIELDS)
        return left

    def finish(self, harness: Harness, result: int) -> None:
        assert result == UPDATED


def _names(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields if not field.primary_key]
