"""The states of the journals' tables before an operation, and their rows after it."""

from typing import Any

from django.db import connection
from django.db.models import Model

from benches.orm_ops.work import FILLED, entries


class Tables:
    """Empties and fills tables, unless they are in that state already."""

    def __init__(self) -> None:
        self._filled: set[type[Model]] = set()
        self._stored: set[type[Model]] = set()

    def empty(self, model: type[Model]) -> None:
        """Have no rows in a table, and the keys begin at 1."""
        self.spoil(model)
        # A contender that has failed may have left a transaction open.
        _execute("SET lock_timeout = '10s'")
        _execute(f"TRUNCATE {model._meta.db_table} RESTART IDENTITY CASCADE")

    def fill(self, model: type[Model]) -> None:
        """Have the same rows in a table, in the same places, each time."""
        if model in self._filled:
            return
        table = model._meta.db_table
        self.empty(model)
        if model in self._stored:
            _execute(f"INSERT INTO {table} TABLE {table}_stored")
        else:
            model.threaded.bulk_create(
                model(level=level, text=text) for level, text in entries("C", FILLED)
            )
            _execute(f"CREATE TABLE {table}_stored AS TABLE {table}")
            self._stored.add(model)
        # Otherwise the first contender that reads would do a part of that.
        _execute(f"VACUUM (ANALYZE) {table}")
        self._filled.add(model)

    def spoil(self, model: type[Model]) -> None:
        """Record that a table is going to be written to."""
        self._filled.discard(model)

    def rows(self, model: type[Model], with_keys: bool) -> list[tuple[Any, ...]]:
        """Return all rows as psycopg has them, with keys and timestamps or without."""
        fields = [
            field.column
            for field in model._meta.concrete_fields
            if with_keys or field.name not in ("id", "timestamp")
        ]
        with connection.cursor() as cursor:
            # By text: JSON has no order.
            cursor.execute(f"SELECT {', '.join(fields)} FROM {model._meta.db_table} ORDER BY text")
            return cursor.fetchall()


def _execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
