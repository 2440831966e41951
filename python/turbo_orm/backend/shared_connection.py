"""One connection for sync and async code, in the transaction that a test is rolled back with.

Django's ``TestCase`` and pytest-django's ``db`` open a transaction on the sync connection.
``shared_connections()`` gives async code that very connection: an ``AsyncConnection`` of psycopg's
over the same libpq connection, whose state (transaction, savepoints, query log, hooks) is that of
Django's wrapper. So sync and async code see what the other wrote, and one rollback undoes it all.

Only one task can use it at a time, so tasks take turns: one owns it until its call or its block (a
transaction, ``async_connection()``) ends. The states are **connection_state**'s, of which two do
not occur: Django's wrapper opens and closes the driver connection. What must not be gathered
elsewhere must not be here: a task that was started inside a block of its parent's is refused.

The connection is never left owned. The owner that is waited for is a task that runs: one that has
ended, or whose event loop is closed, has lost the connection. Code that no task runs owns it only
while it uses it, since tasks cannot wait for it, nor it for them.
"""

from __future__ import annotations

import asyncio
from asyncio import _get_running_loop
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import psycopg
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections
from django.db.utils import load_backend

from turbo_orm import bridge
from turbo_orm.backend.connection_state import (
    ConnectionState,
    Owner,
    Pin,
    State,
    current_task,
    name_of,
    place,
)
from turbo_orm.backend.delegation import delegates
from turbo_orm.backend.handler import has_async_connection
from turbo_orm.backend.task_connections import async_connections, is_in_test
from turbo_orm.bridge import installation
from turbo_orm.driver.wait_queue import WaitQueue


class _AsyncView(psycopg.AsyncConnection[Any]):
    """A psycopg connection for async code over that of a sync one."""

    def __init__(self, sync: psycopg.Connection[Any]) -> None:
        self._sync: Any = sync
        super().__init__(sync.pgconn)
        self._adapters = self._sync.adapters
        # Statements are prepared for the session, which is the same.
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
        """Do not warn if it was not closed: the sync connection is what has to be."""


@delegates("django")
class SharedConnection(ConnectionState):
    """django-async-backend's wrapper over a connection of Django's. Mixed into its class."""

    atomic_blocks: list[Any]

    state = State.IDLE
    bridged: Any = None
    bridged_parent: Any = None
    is_zone_due = False

    def __init__(self, django: Any) -> None:
        # The inherited __init__ resets the state: here, that of a dummy.
        self.django: Any = SimpleNamespace()
        super().__init__(django.settings_dict, django.alias)
        self.django = django
        self._view: _AsyncView | None = None
        self._bridge: bridge.Bridge | None = None
        # The number of calls on the bridge that have acquired it.
        self._turn = 0
        # Where the owner has acquired it, for errors.
        self._acquired_at = ""
        self._queue = WaitQueue()
        # Tasks that were started inside the block, and the async_connection() blocks they are in.
        self._guests: Counter[Any] = Counter()

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
        # Only to detach it, but for the inherited __init__.
        self.django.connection = None

    async def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Raise: the test's connection was closed, and its transaction is lost."""
        raise psycopg.OperationalError(
            f"The connection to {self.alias!r} that this test shares with its transaction is "
            f"closed."
        )

    # Turns

    def acquire_on_bridge(self) -> None:
        """Wait for the running task's turn, and use the connection until the call returns.

        Raises ``RuntimeError`` in code that no event loop runs, and that would have to wait.
        """
        # Where a test has forbidden a database, its cursor() raises.
        if type(self.django.cursor).__name__ == "_DatabaseFailure":
            self.django.cursor()
        task = current_task()
        while not self._is_free_for(task):
            self.refuse_children()
            self._wait_for_turn()
        if self.owner is not (task or Owner.UNCLAIMED):
            if self._is_guest(task):
                return
            self._change_owner(task)
        outermost = bridge.outermost()
        if outermost is not self._bridge:
            self._bridge = outermost
            self._turn += 1
            # A bridge that refers to itself would be for the garbage collector to delete.
            outermost.at_exit(partial(self._release_turn, self._turn))
        self.settle()

    def _is_free_for(self, task: asyncio.Task[Any] | None) -> bool:
        """Return whether a task need not wait for its turn."""
        owner = self.owner
        return (
            owner is task
            or not isinstance(owner, asyncio.Task)
            or owner.done()
            or owner.get_loop().is_closed()
            or self._is_guest(task)
        )

    def _is_guest(self, task: asyncio.Task[Any] | None) -> bool:
        """Return whether a task is admitted to the owner's block, or is in its pipeline."""
        return task in self._guests or (self.pipeline is not None and self.pipeline.is_around())

    def _change_owner(self, task: asyncio.Task[Any] | None) -> None:
        """Have the pins of the owner that was go with it."""
        self.owner = task or Owner.UNCLAIMED
        self._acquired_at = place()
        self.pins.clear()
        self.block = None
        self._guests.clear()

    def _wait_for_turn(self) -> None:
        if _get_running_loop() is None:
            what = "a block" if self.state is State.PINNED else "a call"
            raise RuntimeError(
                f"The connection to {self.alias!r} that this test shares is owned by "
                f"{name_of(self.owner)}, for {what} that has acquired it at "
                f"{self._acquired_at}. Code that runs without an event loop cannot wait for it: "
                f"end the block before, or await the code in that task."
            )
        turn = self._queue.enqueue()
        try:
            bridge.await_(turn)
        except BaseException:
            if turn.done() and not turn.cancelled():
                # It came, and is not taken.
                self._queue.hand_over(None)
            raise

    def _release_turn(self, turn: int) -> None:
        if turn == self._turn:
            self._bridge = None
            self._release()

    def _release(self) -> None:
        """At the end of a call, keep the connection for a block, or hand it over."""
        self.settle()
        if self.state is State.IDLE:
            self.owner = Owner.UNCLAIMED
            self._guests.clear()
        if isinstance(self.owner, asyncio.Task):
            # It may end inside the block.
            self.owner.remove_done_callback(self._on_task_done)
            self.owner.add_done_callback(self._on_task_done)
        else:
            self._queue.hand_over(None)

    def _on_task_done(self, task: asyncio.Task[Any]) -> None:
        if self.owner is task:
            self._change_owner(None)
            self._release()

    def settle(self) -> None:
        """Go to the state that follows from the pins, the transaction, and the call."""
        # Sync code, too, begins and ends transactions. That of the test case is no block.
        is_in_transaction = any(not block._from_testcase for block in self.atomic_blocks)
        if is_in_transaction and Pin.TRANSACTION not in self.pins:
            self.pin(Pin.TRANSACTION)
        elif not is_in_transaction and Pin.TRANSACTION in self.pins:
            self.unpin(Pin.TRANSACTION)
        elif self.pins:
            self.enter(State.PINNED)
        else:
            self.enter(State.IDLE if self._bridge is None else State.IN_USE)

    # Blocks and cursors

    async def enter_block(self, reason: Pin = Pin.BLOCK) -> None:
        """Keep the turn. A task that was started inside a block is admitted to it.

        For an ``async_pipeline()``, do nothing: its tasks need no turn of their own.
        """
        if reason is Pin.BLOCK:
            await bridge.run(self._enter_block)

    def _enter_block(self) -> None:
        task = current_task()
        if not self._is_free_for(task) and self.is_inside_block():
            self._guests[task] += 1
        else:
            self.acquire_on_bridge()
            if task in self._guests:
                self._guests[task] += 1
            else:
                self.pin(Pin.BLOCK)
        try:
            connections[self.alias].ensure_connection()
        except BaseException:
            self.leave_block()
            raise

    def leave_block(self, reason: Pin = Pin.BLOCK) -> None:
        """Undo ``enter_block()``."""
        task = current_task()
        if reason is Pin.PIPELINE:
            return
        if task in self._guests:
            self._guests[task] -= 1
            self._guests += Counter()  # without those that are in no block any more
        elif self.owner is (task or Owner.UNCLAIMED) and Pin.BLOCK in self.pins:
            self.unpin(Pin.BLOCK)
            if self._bridge is None:
                self._release()

    def keep_for_cursor(self) -> None:
        """Do not keep the turn for a server-side cursor: each fetch is a call of its own.

        A cursor outlives the calls and the savepoints of other tasks.
        """

    def release_cursor(self) -> None:
        """Do nothing: see ``keep_for_cursor()``."""

    # What does not apply to a connection that is not the task's own

    def validate_thread_sharing(self) -> None:
        """Accept any thread: the one that runs the test waits for the event loop's."""

    def validate_task_sharing(self) -> None:
        """Accept any task: they take turns."""

    def put_back(self) -> None:
        """Keep the driver connection: it is the test's."""

    def is_idle(self) -> bool:
        """Return ``False``: no pool may take it."""
        return False

    def expect_timezone(self) -> bool:
        """Set the session's time zone at once: sync code may use it next."""
        has_changed: bool = self.django.ensure_timezone()
        return has_changed

    async def ensure_connection(self) -> None:
        """Connect on the bridge, where it may wait for the task's turn."""
        await bridge.run(lambda: connections[self.alias].ensure_connection())

    async def _close(self) -> None:
        if self.django.connection is not None:
            self.django.connection.close()


@contextmanager
def shared_connections(aliases: Iterable[str] | None = None) -> Iterator[None]:
    """Let async code use the sync connections of the thread that enters this block.

    Use it in tests: in the block, sync and async code share their transactions. ``aliases`` are
    those of databases with an async connection; by default all of them. Code that a task runs in a
    thread uses the same connections. Any other thread has its own, as in Django.

    Raises ``SynchronousOnlyOperation`` in an event loop, which has no sync connection.
    """
    installation.require()
    if _get_running_loop() is not None:
        raise SynchronousOnlyOperation(
            "An event loop runs here, so there is no sync connection to share. Begin the test's "
            "transaction outside of it: in a fixture or a setUp() that is not async."
        )
    is_in_test.set(True)
    with ExitStack() as stack:
        for alias in connections if aliases is None else aliases:
            if alias in async_connections.shared or not has_async_connection(alias):
                continue
            django = connections[alias]
            backend = load_backend(django.settings_dict["ENGINE"])
            shared = SharedConnection.over(backend.AsyncDatabaseWrapper)(django)
            django.inc_thread_sharing()
            stack.callback(django.dec_thread_sharing)
            async_connections.shared[alias] = shared
            stack.callback(async_connections.shared.pop, alias)
        yield
