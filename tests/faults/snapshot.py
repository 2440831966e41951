"""What is in the tables, to be compared and put back by a client that the tests do not disturb."""

import asyncio
from types import TracebackType

import psycopg
from django.db import connections
from psycopg.pq import ExecStatus

from tests.library.models import (
    Account,
    Captain,
    Comment,
    Entry,
    Mentoring,
    Player,
    Skill,
    Team,
)

MODELS = [
    Account,
    Entry,
    Team,
    Skill,
    Player,
    Captain,
    Comment,
    Mentoring,
    Player.skills.through,
]


class Snapshot:
    """The rows of some tables, for ``with``. Its own session is none that tests know of."""

    def __init__(self) -> None:
        parameters = connections["default"].get_connection_params()
        wanted = ("dbname", "user", "password", "host", "port")
        given = {name: parameters[name] for name in wanted if name in parameters}
        self._connection = psycopg.connect(**given, autocommit=True)
        self._tables = [model._meta.db_table for model in MODELS]
        # Whoever keeps a lock is to fail the test, not to hang it.
        self._ask("SET lock_timeout = '5s'; SET synchronous_commit = off")
        self._ask(
            "".join(
                f"CREATE TEMPORARY TABLE kept_{table} AS TABLE {table};" for table in self._tables
            )
        )
        self._keys = "".join(
            f"SELECT setval('{sequence}', {self._ask(f'SELECT max(id) FROM {table}')});"
            for table in self._tables
            if (sequence := self._sequence(table))
        )
        self.kept = self.contents()

    def _sequence(self, table: str) -> str | None:
        columns = f"SELECT count(*) FROM pg_attribute WHERE attrelid = '{table}'::regclass"
        if self._ask(f"{columns} AND attname = 'id'") == "0":
            return None
        return self._ask(f"SELECT pg_get_serial_sequence('{table}', 'id')")

    def contents(self) -> dict[str, list[str]]:
        """Return the rows that are in the tables now, by table, as texts."""
        rows = self._ask(
            "SELECT string_agg(row, chr(10) ORDER BY row) FROM ("
            + " UNION ALL ".join(
                f"SELECT '{table}' || chr(9) || t.*::text AS row FROM {table} t"
                for table in self._tables
            )
            + ") x"
        )
        found: dict[str, list[str]] = {table: [] for table in self._tables}
        for row in (rows or "").splitlines():
            table, _, values = row.partition("\t")
            found[table].append(values)
        return found

    def put_back(self) -> dict[str, list[str]]:
        """Have the rows be those that were there, and keys go on from them. Return what was."""
        found = self.contents()
        if found != self.kept:
            self._ask(
                "".join(f"DELETE FROM {table};" for table in self._tables)
                + "".join(f"INSERT INTO {table} TABLE kept_{table};" for table in self._tables)
            )
        # What was rolled back has used some, too.
        self._ask(self._keys)
        return found

    async def others_rest(self) -> None:
        """Wait until no other client is in a statement or in a transaction."""
        for _ in range(400):
            busy = self._ask(
                "SELECT string_agg(state || ': ' || query, chr(10)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend' AND state <> 'idle'"
            )
            if busy is None:
                return
            await asyncio.sleep(0.005)
        raise AssertionError(busy)

    def _ask(self, question: str) -> str | None:
        # Not by a cursor, which would be an error while an event loop runs.
        result = self._connection.pgconn.exec_(question.encode())
        assert result.status in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}, (
            result.error_message.decode()
        )
        if result.status == ExecStatus.COMMAND_OK:
            return None
        value = result.get_value(0, 0)
        return None if value is None else value.decode()

    def __enter__(self) -> "Snapshot":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.put_back()
        self._connection.close()
