"""The states in which the operations find the journals' tables, and what they leave in them."""

from typing import Any

from django.db import connection
from django.db.models import Model

from benches.orm_ops.work import FILLED, entries


class Tables:
    """Empties and fills tables, unless they are in the state that is asked for already."""

    def __init__(self) -> None:
        self._filled: set[type[Model]] = set()
        self._stored: set[type[Model]] = set()
        # Whoever fails may leave a transaction open, and the next one is not to wait for it.
        _execute("SET lock_timeout = '10s'")

    def empty(self, model: type[Model]) -> None:
        """Have no rows in a table, and the keys begin at 1."""
        self.spoil(model)
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
        # Otherwise whoever reads first would do a part of that.
        _execute(f"VACUUM (ANALYZE) {table}")
        self._filled.add(model)

    def spoil(self, model: type[Model]) -> None:
        """Take note that a table is going to be written to."""
        self._filled.discard(model)

    def drop(self) -> None:
        """Remove what the rows were stored in."""
        for model in self._stored:
            _execute(f"DROP TABLE {model._meta.db_table}_stored")

    def rows(self, model: type[Model], with_keys: bool) -> list[tuple[Any, ...]]:
        """Return all rows as the driver has them, with keys and timestamps or without."""
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
