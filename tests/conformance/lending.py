"""The connections that sync tests and async code share: each thread's own.

As **shared_connection** has it for a test case, but for a whole process whose tests close
connections, and start threads that are to have others.
"""

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from django.db import connections
from django.db.utils import ConnectionHandler, load_backend

from turbo_orm import bridge
from turbo_orm.backend import shared_connection
from turbo_orm.backend.handler import has_async_connection, process_connection
from turbo_orm.backend.task_connections import TaskConnectionHandler, async_connections

# asgiref takes it along to its threads. One that a test has started begins without.
_of_thread: ContextVar[dict[str, Any] | None] = ContextVar("connections", default=None)


class LentConnection(shared_connection.SharedConnection):
    """A connection of Django's that async code may open, too."""

    @property
    def connection(self) -> Any:
        return shared_connection.SharedConnection.connection.fget(self)

    @connection.setter
    def connection(self, value: Any) -> None:
        self.django.connection = value and value._sync

    async def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        # Django refuses where an event loop runs, unless it may wait.
        self.django.connection = bridge.allowed_to_wait(
            self.django.get_new_connection, self.django.get_connection_params()
        )
        return self.connection


class LentConnections(Mapping[str, Any]):
    """The connections of the running thread, by alias."""

    def __getitem__(self, alias: str) -> Any:
        lent = _of_thread.get()
        if lent is None:
            lent = {}
            _of_thread.set(lent)
        if alias not in lent:
            django = ConnectionHandler.__getitem__(connections, alias)
            django.inc_thread_sharing()
            backend = load_backend(connections.settings[alias]["ENGINE"])
            lent[alias] = connection = LentConnection.over(backend.AsyncDatabaseWrapper)(django)
            connection.bridged = _bridged(connection)
        return lent[alias]

    def __iter__(self) -> Iterator[str]:
        return (alias for alias in connections if has_async_connection(alias))

    def __len__(self) -> int:
        return len(list(iter(self)))


def _bridged(connection: LentConnection) -> Any:
    """Return what the bridge sees of a connection: what tests patch, they patch there."""
    django = connection.django
    bridged = process_connection(connection.alias).of(connection)
    bridged.features = django.features
    bridged.ops.bulk_batch_size = _bulk_batch_size(connection.alias)
    return bridged


def _bulk_batch_size(alias: str) -> Callable[..., int]:
    """Return what asks the running thread's connection: all threads share the operations."""
    return lambda *args: async_connections.shared[alias].django.ops.bulk_batch_size(*args)


def of_thread() -> None:
    """Have the running thread have its connections."""
    for alias in async_connections.shared:
        async_connections.shared[alias]


def lend() -> None:
    """Have all async code of this process use Django's connections of its thread."""
    TaskConnectionHandler.shared = LentConnections()
