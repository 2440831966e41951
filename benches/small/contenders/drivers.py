"""The drivers: psycopg and asyncpg, with the SQL that Django writes."""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from benches.contenders import drivers
from benches.small.contenders.contender import Contender
from benches.small.operation import Operation
from benches.small.statement import statement


class Psycopg(Contender, drivers.Psycopg):
    """psycopg as Django configures it, with one cursor for all calls."""

    async def open(self) -> None:
        await super().open()
        self.cursor = self.connection.cursor()

    def call(self, operation: Operation) -> Callable[..., Any]:
        sql, cursor = statement(operation), self.cursor

        async def one(*values: Any) -> Any:
            await cursor.execute(sql, values)
            return await cursor.fetchone()

        async def all_(*values: Any) -> Any:
            await cursor.execute(sql, values)
            return await cursor.fetchall()

        async def number(*values: Any) -> Any:
            await cursor.execute(sql, values)
            return cursor.rowcount

        return {"one": one, "all": all_}.get(operation.fetched, number)

    def answer(self, operation: Operation, found: Any) -> Any:
        return _answer(operation, found)


class PsycopgOnUvloop(Psycopg, drivers.PsycopgOnUvloop):
    pass


class Asyncpg(Contender, drivers.Asyncpg):
    """asyncpg with its defaults: it prepares statements."""

    def call(self, operation: Operation) -> Callable[..., Any]:
        connection = self.connection
        methods = {"one": connection.fetchrow, "all": connection.fetch}
        return partial(methods.get(operation.fetched, connection.execute), self._sql(operation))

    @staticmethod
    def _sql(operation: Operation) -> str:
        """Return the statement with asyncpg's placeholders."""
        first, *others = statement(operation).split("%s")
        numbers = count(1)
        return first + "".join(f"${next(numbers)}{text}" for text in others)

    def answer(self, operation: Operation, found: Any) -> Any:
        return _answer(operation, int(found.split()[-1]) if isinstance(found, str) else found)


def _answer(operation: Operation, found: Any) -> Any:
    match operation.method:
        case "get":
            return tuple(found)
        case "rows":
            return sorted(map(tuple, found))
        case "join":
            return [*map(tuple, found)]
        case "count":
            return found[0]
        case "exists":
            return found is not None
        case "create":
            return None
    return found
