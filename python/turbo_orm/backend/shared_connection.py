"""One connection for sync and async code, in the transaction that a test is rolled back with.

Django's ``TestCase`` and pytest-django's ``db`` open a transaction on the sync connection.
``shared_connections()`` gives async code that very connection: an ``AsyncConnection`` of psycopg's
over the same libpq connection, whose state (transaction, savepoints, query log, hooks) is that of
Django's wrapper. So each sees what the other wrote, and one rollback undoes it all.

Only one can use it at a time. Tasks take turns: one has it until its call, transaction or iterator
has ended. What must not be gathered elsewhere must not be here: a task that was started inside a
transaction of its parent's is refused.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

import psycopg
from django.db import connections
from django.db.utils import load_backend

from turbo_orm import bridge
from turbo_orm.backend.base import has_async_engine
from turbo_orm.backend.task_connections import TaskBlocks, async_connections, current_task
from turbo_orm.bridge import installation


class _Delegated:
    """An attribute of Django's wrapper."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, connection: SharedConnection, owner: type) -> Any:
        return getattr(connection.django, self.name)

    def __set__(self, connection: SharedConnection, value: Any) -> None:
        setattr(connection.django, self.name, value)

    def __delete__(self, connection: SharedConnection) -> None:
        delattr(connection.django, self.name)


class _AsyncView(psycopg.AsyncConnection[Any]):
    """A psycopg connection for async code over that of a sync one."""

    def __init__(self, sync: psycopg.Connection[Any]) -> None:
        self._sync: Any = sync
        super().__init__(sync.pgconn)
        self._adapters = self._sync.adapters
        # Statements are prepared for the session, whoever does it.
        self._prepared = self._sync._prepared

    @property
    def _autocommit(self) -> bool:
        autocommit: bool = self._sync._autocommit
        return autocommit

    @_autocommit.setter
    def _autocommit(self, value: bool) -> None:
        if hasattr(self, "_sync") and hasattr(self, "lock"):
            self._sync._autocommit = value

    async def close(self) -> None:
        self._sync.close()

    def __del__(self, warn: Any = None, /) -> None:
        """Do not complain: it is the sync one that has to be closed."""


class SharedConnection(TaskBlocks):
    """django-async-backend's wrapper over a connection of Django's. Mixed into its class."""

    atomic_blocks = _Delegated()
    autocommit = _Delegated()
    close_at = _Delegated()
    closed_in_transaction = _Delegated()
    commit_on_exit = _Delegated()
    errors_occurred = _Delegated()
    execute_wrappers = _Delegated()
    force_debug_cursor = _Delegated()
    health_check_done = _Delegated()
    health_check_enabled = _Delegated()
    in_atomic_block = _Delegated()
    needs_rollback = _Delegated()
    queries_log = _Delegated()
    rollback_exc = _Delegated()
    run_commit_hooks_on_set_autocommit_on = _Delegated()
    run_on_commit = _Delegated()
    savepoint_ids = _Delegated()
    savepoint_state = _Delegated()
    timezone = _Delegated()
    timezone_name = _Delegated()

    bridged: Any = None
    bridged_parent: Any = None
    is_zone_due = False
    server_side_cursors = 0
    holds = 0

    def __init__(self, django: Any) -> None:
        # The inherited __init__ resets the state: let it do so to something of no account.
        self.django: Any = SimpleNamespace()
        super().__init__(django.settings_dict, django.alias)  # type: ignore[call-arg]
        self.django = django
        self._view: _AsyncView | None = None
        # The task whose turn it is, those that wait for theirs, and those that it let in.
        self._task: asyncio.Task[Any] | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._guests: set[Any] = set()

    @property
    def connection(self) -> Any:
        sync = self.django.connection
        if sync is None:
            return None
        if self._view is None or self._view._sync is not sync:
            self._view = _AsyncView(sync)
            parameters = self.get_connection_params()  # type: ignore[attr-defined]
            self._view.cursor_factory = parameters["cursor_factory"]
            self._view.prepare_threshold = parameters["prepare_threshold"]
        return self._view

    @connection.setter
    def connection(self, value: Any) -> None:
        # Only to forget it, but for the inherited __init__.
        self.django.connection = None

    async def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Refuse: the test's connection was closed, and its transaction is lost."""
        raise psycopg.OperationalError(
            f"The connection to {self.alias!r} that this test shares with its transaction is "
            f"closed."
        )

    # Turns

    def use(self) -> None:
        """Wait for the running task's turn, which ends with its call, transaction or iterator."""
        # Where a test has forbidden a database, its cursor() says so.
        if type(self.django.cursor).__name__ == "_DatabaseFailure":
            self.django.cursor()
        task = current_task()
        while self._task is not task and task not in self._guests:
            if self._task is None or self._task.done():
                self._task = task
                bridge.outermost().at_exit(self._pass_on)
                return
            self.refuse_children()
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            bridge.await_(turn)
        if self._task is task:
            self._note_block()
            bridge.outermost().at_exit(self._pass_on)

    def _note_block(self) -> None:
        is_in_transaction = any(not block._from_testcase for block in self.atomic_blocks)
        what = "transaction" if is_in_transaction else "async_connection() block"
        self.enter_or_leave_block(what, is_in_transaction or self.holds > 0)

    def _pass_on(self) -> None:
        self._note_block()
        if self.block is None and not self.server_side_cursors:
            self._task = None
            while self._waiting:
                turn = self._waiting.popleft()
                if not turn.done():
                    turn.set_result(None)
                    break

    def hold(self) -> None:
        """Keep the turn. A task that was started inside a block is let into it."""
        if self._task is None:
            self._task = current_task()
        elif self._task is not current_task():
            self._guests.add(current_task())
            return
        self.holds += 1

    def unhold(self) -> None:
        if self._task is current_task():
            self.holds -= 1
            self._pass_on()
        self._guests.discard(current_task())

    # What does not apply to a connection that is not the task's own

    def validate_thread_sharing(self) -> None:
        """Accept any thread: the one that runs the test waits for the event loop's."""

    def validate_task_sharing(self) -> None:
        """Accept any task: they take turns."""

    def give_back(self) -> None:
        """Keep it: it is the test's."""

    def is_idle(self) -> bool:
        return False

    def expect_timezone(self) -> bool:
        """Tell the session at once: sync code may be the next to use it."""
        has_changed: bool = self.django.ensure_timezone()
        return has_changed

    async def ensure_connection(self) -> None:
        await bridge.run(lambda: connections[self.alias].ensure_connection())

    async def _close(self) -> None:
        if self.django.connection is not None:
            self.django.connection.close()


@cache
def _class_over(wrapper_class: type) -> Any:
    return type("SharedDatabaseWrapper", (SharedConnection, wrapper_class), {})


@contextmanager
def shared_connections(aliases: Iterable[str] | None = None) -> Iterator[None]:
    """Have async code use the sync connections of the thread that enters this block.

    For tests: in the block, a transaction of one is a transaction of the other. ``aliases`` are
    those of databases with an async connection; by default all. Code that ``sync_to_async()``
    sends to a thread uses the same connections.
    """
    installation.require()
    with ExitStack() as stack:
        for alias in connections if aliases is None else aliases:
            if alias in async_connections.shared or not has_async_engine(
                connections.settings[alias]
            ):
                continue
            django = connections[alias]
            backend = load_backend(django.settings_dict["ENGINE"])
            shared = _class_over(backend.AsyncDatabaseWrapper)(django)
            django.inc_thread_sharing()
            stack.callback(django.dec_thread_sharing)
            async_connections.shared[alias] = shared
            stack.callback(async_connections.shared.pop, alias)
        yield
