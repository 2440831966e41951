"""The states of a connection that an asyncio task has, and the transitions that are permitted.

``TaskConnection`` (a task's own, **task_connection**) and ``SharedConnection`` (the one of a test,
**shared_connection**) are this state machine over a wrapper of django-async-backend. The state
says who may use the driver's connection, and whether the pool may take it, reset it or close it.

What is orthogonal stays an attribute: who the owner is, why the connection is pinned, and whether
the session was changed and has to be reset before another task gets it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from enum import Enum, StrEnum
from functools import cache
from time import monotonic
from types import MappingProxyType
from typing import Any, NamedTuple

from django.db.transaction import TransactionManagementError

from turbo_orm import bridge
from turbo_orm.bridge.user_code import LIBRARIES

current_task = bridge.current_task


class State(StrEnum):
    """What may be done with a connection."""

    # There is no driver connection: the next statement connects, or takes one from the pool.
    DETACHED = "detached"
    # The owner keeps it and does nothing with it: another task may take it, if it is a pool's.
    IDLE = "idle"
    # A statement, or a call on the bridge, uses it until it returns.
    IN_USE = "in use"
    # The owner keeps it from one call to the next: see Pin.
    PINNED = "pinned"
    # It has ended. In a transaction it stays until that ends, and its statements fail; otherwise
    # it is replaced before the next statement.
    LOST = "lost"


TRANSITIONS: Mapping[State, frozenset[State]] = {
    # connect: on the bridge; in async_connection(); by code outside of the bridge
    State.DETACHED: frozenset({State.IN_USE, State.PINNED, State.IDLE}),
    # acquire; pin; detach, to the pool or to another task; the server is gone
    State.IDLE: frozenset({State.IN_USE, State.PINNED, State.DETACHED, State.LOST}),
    # release; pin; detach, if what connects fails; the server is gone
    State.IN_USE: frozenset({State.IDLE, State.PINNED, State.DETACHED, State.LOST}),
    # unpin, during a call or after it; close, or the task is done; the server is gone
    State.PINNED: frozenset({State.IN_USE, State.IDLE, State.DETACHED, State.LOST}),
    # detach
    State.LOST: frozenset({State.DETACHED}),
}


class Pin(StrEnum):
    """Why a connection stays with its owner after a call."""

    TRANSACTION = "transaction"
    BLOCK = "async_connection() block"
    PIPELINE = "async_pipeline() block"
    # It outlives the call that has opened it.
    SERVER_SIDE_CURSOR = "server-side cursor"
    # Of django-async-backend's own: when it is closed does not show.
    CURSOR = "cursor"
    # A cursor of Django's has set a parameter of the session.
    SESSION = "SET"

    @property
    def is_released_by_hand(self) -> bool:
        """Whether ``release_connection()`` may end it."""
        return self in (Pin.CURSOR, Pin.SESSION)


# A task that is started while its parent's connection is pinned by one of these is refused.
_BLOCKS = frozenset({Pin.TRANSACTION, Pin.BLOCK, Pin.PIPELINE})


# While one of these pins a connection, code may use the driver's connection itself.
BY_HAND = frozenset({Pin.BLOCK, Pin.CURSOR})

#: Called with a connection that is pinned by one of these.
by_hand_hooks: list[Callable[[Any], None]] = []


class Owner(Enum):
    """What owns a connection that no running task does."""

    # Code that no task runs has made it: the first task that asks for it becomes the owner.
    UNCLAIMED = "no task"
    ENDED = "a task that has ended"


class Block(NamedTuple):
    """A transaction, or an ``async_connection()`` block."""

    what: str
    where: str
    task: str
    # By the monotonic clock.
    since: float


# The blocks, by alias, that the running code is in or was started in.
blocks: ContextVar[Mapping[str, Block]] = ContextVar(
    "turbo_orm_blocks",
    default=MappingProxyType({}),
)

# What the block that is being entered is for, where no line of code of the site's own says so.
entered_for: ContextVar[str | None] = ContextVar("turbo_orm_entered_for", default=None)


class ConnectionState:
    """The state of a connection, its owner, and its pins. Mixed into a wrapper's class."""

    alias: str
    state = State.DETACHED
    owner: asyncio.Task[Any] | Owner = Owner.UNCLAIMED
    # Set while a transaction or an async_connection() block pins the connection.
    block: Block | None = None
    # The block of async_pipeline() that the owner is in: see pipeline_block.
    pipeline: Any = None
    # The session was changed: it is reset before another task gets it.
    is_dirty = False
    # Whether the engine's wrapper has to see each statement, as Django's does.
    has_own_cursor = False
    # The pool that the driver connection is from.
    _source: Any = None

    def __init__(self, *args: Any) -> None:
        # How often the connection is pinned for a reason.
        self.pins: dict[Pin, int] = {}
        super().__init__(*args)

    @classmethod
    @cache
    def over(cls, wrapper_class: type) -> Callable[..., Any]:
        """Return the class of an engine's async wrapper with this state machine in it."""
        name = cls.__name__.replace("Connection", "DatabaseWrapper")
        return type(name, (cls, wrapper_class), {})

    def serves(self, task: asyncio.Task[Any] | Owner | None) -> bool:
        """Return whether the running code, a task's, uses the connection: as owner, or in a block.

        That is a block of ``async_pipeline()`` in which the task was started.
        """
        return self.owner is task or (self.pipeline is not None and self.pipeline.is_around())

    def enter(self, state: State) -> None:
        """Go to a state, if it is permitted from the present one."""
        if state is not self.state:
            if state not in TRANSITIONS[self.state]:
                raise RuntimeError(
                    f"The connection to {self.alias!r} of {name_of(self.owner)} cannot go from "
                    f"{self.state.value!r} to {state.value!r}. This is an error in turbo-orm."
                )
            self.state = state

    def settle(self) -> None:
        """Go to the state that follows from the driver connection, the pins and the calls."""
        raise NotImplementedError

    def pin(self, reason: Pin) -> None:
        """Keep the connection until ``unpin()`` is called as often with the same reason."""
        self.pins[reason] = self.pins.get(reason, 0) + 1
        if self.block is None and reason in _BLOCKS:
            where = entered_for.get() or place()
            self.block = Block(reason.value, where, name_of(self.owner), monotonic())
            blocks.set({**blocks.get(), self.alias: self.block})
        if reason in BY_HAND:
            for hook in by_hand_hooks:
                hook(self)
        self.settle()

    def unpin(self, reason: Pin) -> None:
        """Undo one ``pin()``."""
        self.pins[reason] -= 1
        if not self.pins[reason]:
            del self.pins[reason]
            if self.block is not None and _BLOCKS.isdisjoint(self.pins):
                self.block = None
        self.settle()

    def keep_session(self) -> None:
        """Keep a session of a pool that was changed while the owner runs, and have it reset then.

        So is a thread's in sync code: what it has set holds until it sets something else.
        """
        if self._source is not None and not self.pins.keys() & {Pin.BLOCK, Pin.SESSION}:
            self.is_dirty = True
            self.pin(Pin.SESSION)

    def description(self, since: float) -> str:
        """Return who holds the connection since a time, and for what: a pool's error says so."""
        why = self.state.value
        if self.block is not None:
            why, since = f"{self.block.what} at {self.block.where}", self.block.since
        elif self.pins:
            why = ", ".join(self.pins)
        return f"{name_of(self.owner)} ({why}, for {monotonic() - since:.1f} s)"

    def is_inside_block(self) -> bool:
        """Return whether the running code is in the block, or was started inside it."""
        return self.block is not None and blocks.get().get(self.alias) is self.block

    def refuse_children(self) -> None:
        """Raise if the running code, which is not the owner's, was started inside the block."""
        if self.block is not None and self.is_inside_block():
            what, where, task, _ = self.block
            raise TransactionManagementError(
                f"A {what} on {self.alias!r} is open in {task} ({where}), and "
                f"{name_of(current_task())} was started inside it. It is one connection, which "
                f"does one thing at a time: await one after the other, gather in an "
                f"`async with async_pipeline({self.alias!r}):` inside the block, gather outside "
                f"of it, or give the task a connection of its own with "
                f"`async with async_connection({self.alias!r}):`, which sees nothing of the block."
            )


def place() -> str:
    """Return the file and line of the nearest caller that is no library's."""
    for frame in bridge.frames():
        if not frame.f_code.co_filename.startswith(LIBRARIES):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
    return "unknown code"


def name_of(owner: asyncio.Task[Any] | Owner | None) -> str:
    """Return what an error calls a task, or what owns a connection in place of one."""
    if isinstance(owner, asyncio.Task):
        return owner.get_name()
    return (owner or Owner.UNCLAIMED).value
