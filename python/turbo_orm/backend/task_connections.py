"""Which connection an asyncio task uses: its own.

``async_connections[alias]`` is the running task's ``TaskConnection`` (**task_connection**). A task
that asks for the first time gets one of its own, whatever its parent has: so ``asyncio.gather()``
over querysets runs side by side.

Two things of a parent cannot be shared: an open transaction, and the state of a session that it
has pinned. A task that was started inside such a block is refused, since its own connection would
not see what the block has done. One that was started in an ``async_pipeline()`` has the parent's
(**pipeline_block**).
"""

from __future__ import annotations

from asyncio import _get_running_loop
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, ClassVar

from django.db.transaction import TransactionManagementError
from django.db.utils import load_backend
from django_async_backend.db import async_connections as _backend_connections

from turbo_orm import bridge
from turbo_orm.backend.connection_state import Owner, current_task
from turbo_orm.backend.task_connection import TaskConnection
from turbo_orm.bridge import signals, sync_to_async

# The wrappers, by alias, that the running code has or has inherited. async_connections has them,
# too, in a Local of asgiref's, which takes 11 Python calls to ask for one, and which the code that
# async_to_sync() has called may change for its caller.
in_context: ContextVar[Mapping[str, Any]] = ContextVar(
    "turbo_orm_connections",
    default=MappingProxyType({}),
)

# Whether the running code is a test's that shares its connections, or was started by such a test.
is_in_test: ContextVar[bool] = ContextVar("turbo_orm_is_in_test", default=False)


def task_connection(backend: Any, settings_dict: dict[str, Any], alias: str) -> Any:
    """Return a new connection, which the running task owns."""
    connection = TaskConnection.over(backend.AsyncDatabaseWrapper)(settings_dict, alias)
    connection.claim(current_task())
    return connection


def has_open_block() -> bool:
    """Return whether the running task has a block open, on any alias."""
    task = current_task()
    return any(
        connection.is_inside_block() and connection.serves(task)
        for connection in in_context.get().values()
    )


def has_open_transaction() -> bool:
    """Return whether the running task has an ``async_atomic()`` open, on any alias."""
    task = current_task()
    return any(
        connection.in_atomic_block and connection.serves(task)
        for connection in in_context.get().values()
    )


def is_in_transaction(alias: str) -> bool:
    """Return whether the running task's connection is in a transaction, or would begin one."""
    if alias in TaskConnectionHandler.shared:
        connection = TaskConnectionHandler.shared[alias]
    else:
        connection = in_context.get().get(alias)
        if connection is None or not connection.serves(current_task()):
            return False
    return not connection.autocommit


def needs_bridge(function: Any) -> bool:
    """Return whether a function has to run on the bridge, since the task is in a block.

    The sync receivers of a signal do: they may query. Any other raises in its thread, where it
    asks for a connection (**handler**).
    """
    is_dispatcher = getattr(function, "__module__", None) == "django.dispatch.dispatcher"
    return is_dispatcher and has_open_block()


def _refuse_in_calling_thread(alias: str) -> None:
    if bridge.in_calling_thread.get() is not None:
        raise TransactionManagementError(
            f"async_to_sync() was called inside atomic(), so this code is in a transaction on "
            f"{alias!r} of the thread that waits for it. An async connection would see nothing of "
            f"that. Use Django's async methods or async_atomic(), which are executed in the "
            f"thread, or call async_to_sync() outside of the transaction."
        )


class TaskConnectionHandler(type(_backend_connections)):  # type: ignore[misc]
    """``async_connections``, which answers with a connection of the running task.

    Where a test has them shared, all tasks of all threads have the same.
    """

    shared: ClassVar[dict[str, Any]] = {}

    def __getitem__(self, alias: str) -> Any:
        _refuse_in_calling_thread(alias)
        if self.shared and alias in self.shared:
            return self.shared[alias]
        found = in_context.get().get(alias)
        task = current_task()
        if found is None:
            return self._of_its_own(alias)
        if found.owner is task or (task is None and _get_running_loop() is None):
            # In no event loop, a coroutine of the owner's is being closed.
            return found
        if found.owner is Owner.UNCLAIMED:
            found.claim(task)
            return found
        if found.pipeline is not None and found.pipeline.is_around():
            return found
        if found.owner is not Owner.ENDED:
            found.refuse_children()
        return self._of_its_own(alias, found)

    def __setitem__(self, alias: str, connection: Any) -> None:
        super().__setitem__(alias, connection)
        in_context.set({**in_context.get(), alias: connection})

    def __delitem__(self, alias: str) -> None:
        in_context.set({key: value for key, value in in_context.get().items() if key != alias})
        # asgiref's Local does not show what another thread has put there.
        if hasattr(self._connections, alias):
            super().__delitem__(alias)

    def has(self, alias: str) -> bool:
        """Return whether the running code has a connection, or has inherited one."""
        return alias in self.shared or alias in in_context.get()

    def own(self, alias: str) -> Any:
        """Return the running task's connection, even inside a block of the task's parent."""
        _refuse_in_calling_thread(alias)
        if alias in self.shared:
            return self.shared[alias]
        found = in_context.get().get(alias)
        if found is not None and found.owner is (current_task() or Owner.UNCLAIMED):
            return found
        return self._of_its_own(alias, found)

    def forget_inherited(self) -> None:
        """Have the running code begin without the connections of other tasks."""
        inherited = in_context.get()
        task = current_task() if inherited else None
        for alias, connection in inherited.items():
            if connection.owner is not task:
                del self[alias]

    def _of_its_own(self, alias: str, parent: Any = None) -> Any:
        connection = self.create_connection(alias)
        if parent is not None and parent.owner is not Owner.ENDED:
            connection.inherit(parent)
        self[alias] = connection
        return connection

    def create_connection(self, alias: str) -> Any:
        """Return a new connection. Raise ``ConnectionDoesNotExist`` if it cannot be async."""
        if alias not in self.settings:
            raise self.exception_class(f"The connection {alias!r} doesn't exist.")
        settings_dict = self.settings[alias]
        backend = load_backend(settings_dict["ENGINE"])
        if not hasattr(backend, "AsyncDatabaseWrapper"):
            raise self.exception_class(f"The async connection {alias!r} doesn't exist.")
        return task_connection(backend, settings_dict, alias)


# Its class is TaskConnectionHandler where turbo-orm is installed (turbo_orm.patches). The handler
# has no state of its own: the connections that exist already stay.
async_connections: Any = _backend_connections

sync_to_async.use_bridge_where(needs_bridge)
signals.await_in_order_where(has_open_block)
