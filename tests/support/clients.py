"""Other clients of the database, beside the task or thread that a test runs in."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from types import TracebackType
from typing import Any

import psycopg
from django.db import connections
from django_async_backend.db import async_connections


def separate_task[R](coroutine: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
    """Start a task that has connections of its own, and closes them at its end."""

    async def main() -> R:
        try:
            return await coroutine
        finally:
            for alias in async_connections:
                await async_connections[alias].close()

    # A task in a copy of the context would find the connections that are open in it.
    return asyncio.create_task(main(), context=Context())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens outside of this process."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def sessions_of_clients(driver: psycopg.Connection[Any]) -> set[int]:
    """Return the processes of the server that serve a client of the database."""
    rows = driver.execute(
        "SELECT pid FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend'"
    )
    return {pid for (pid,) in rows.fetchall()}


class Rival:
    """A client with a transaction open. The guards against sync connections do not see it."""

    def __init__(self, *statements: str) -> None:
        parameters = connections["default"].get_connection_params()
        wanted = ("dbname", "user", "password", "host", "port")
        given = {name: parameters[name] for name in wanted if name in parameters}
        self._connection = psycopg.connect(**given)
        self._watch = psycopg.connect(**given, autocommit=True)
        for statement in statements:
            self._connection.execute(statement)

    def is_waited_for(self) -> bool:
        """Return whether a client waits for the transaction to end."""
        pid = self._connection.info.backend_pid
        return self._ask(
            "SELECT EXISTS (SELECT 1 FROM pg_stat_activity"
            f" WHERE {pid} = ANY (pg_blocking_pids(pid)))"
        )

    def sees_running(self, text: str) -> bool:
        """Return whether another client runs a statement that holds a text."""
        return self._ask(
            "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE state = 'active'"
            f" AND query LIKE '%{text}%' AND pid <> pg_backend_pid()"
            " AND datname = current_database())"
        )

    def terminate(self, pid: int) -> None:
        """Have the server close another client's connection."""
        assert self._ask(f"SELECT pg_terminate_backend({pid}, 5000)")

    def cancel(self, pid: int) -> None:
        """Have the server cancel what another client's connection executes."""
        assert self._ask(f"SELECT pg_cancel_backend({pid})")

    def has_ended(self, pid: int) -> bool:
        """Return whether another client's session is no more."""
        return self._ask(f"SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = {pid})")

    def lock(self, table: str) -> None:
        """Keep all others from a table, until ``commit()``."""
        self._connection.pgconn.exec_(f"BEGIN; LOCK TABLE {table}".encode())

    def commit(self) -> None:
        self._connection.commit()

    def _ask(self, question: str) -> bool:
        return self._watch.pgconn.exec_(question.encode()).get_value(0, 0) == b"t"

    def __enter__(self) -> "Rival":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()
        self._watch.close()
