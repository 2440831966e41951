"""Where the primary's log is, and how much of it each replica has replayed.

A router cannot wait, so nothing is asked when it chooses. While it is in use a *watch* asks: a
task of the event loop, or a thread where sync code has none. It has a connection of its own to
each server, and ends when the router was not asked for some seconds.
"""

from __future__ import annotations

import asyncio
import os
from _thread import get_ident
from asyncio import _get_running_loop
from collections.abc import Iterable
from contextvars import Context
from functools import partial
from threading import Thread
from time import monotonic
from typing import Any, NamedTuple
from weakref import WeakSet

import psycopg
from django.db import connections
from django.db.utils import load_backend

from turbo_orm.driver import loop_closing

# Fails on a server in recovery: what a standby calls the end of its log is not the primary's.
_OF_PRIMARY = "SELECT pg_postmaster_start_time()::text, pg_current_wal_insert_lsn()::text"
_OF_REPLICA = """
SELECT pg_postmaster_start_time()::text, CASE
    WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text
END
"""


class Position(NamedTuple):
    """What a server has said of its log."""

    # By the monotonic clock, before it was asked.
    asked_at: float
    # Which server it is, until it is started again.
    started: str
    # None, where a server that is to be a replica is none.
    lsn: int | None


class Positions:
    """What is known of a primary and its replicas in this process."""

    #: Seconds from one question to the next: where a session waits for a replica, and otherwise.
    quick, slow = 0.1, 1.0
    #: For how many seconds what is known may be used, and the watch goes on without being used.
    trusted, idle = 5.0, 3.0
    #: How many seconds a server has to answer.
    timeout = 3.0

    def __init__(self, primary: str, replicas: Iterable[str], down_seconds: float) -> None:
        self.primary, self.replicas = primary, [*replicas]
        self.down_seconds = down_seconds
        self._known: dict[str, Position] = {}
        self._down_until: dict[str, float] = {}
        self._is_wanted_soon = False
        self._first_used_at = self._used_at = self._alive_at = 0.0
        _all.add(self)

    # What the router asks

    def of_primary(self) -> Position | None:
        """Return the end of the primary's log at a time, if it is known."""
        return self._recent(self.primary)

    def is_up(self, alias: str) -> bool:
        """Return whether a replica has not failed to answer within the last seconds.

        One that has is left out until it has answered, which the watch waits for. So is a server
        that is no replica any more, unless it is the primary itself.
        """
        if alias in self._down_until:
            return False
        known, primary = self._recent(alias), self._recent(self.primary)
        is_other_primary = known is not None and known.lsn is None and primary is not None
        return not is_other_primary or self._are_one(known, primary)

    @staticmethod
    def _are_one(one: Position | None, other: Position | None) -> bool:
        return one is not None and other is not None and one.started == other.started

    def has_replayed(self, alias: str, lsn: int) -> bool:
        """Return whether a replica is known to have replayed the log up to a position.

        A server that is no replica is taken for one if it is the primary itself.
        """
        known = self._recent(alias)
        if known is None:
            return False
        if known.lsn is None:
            return self._are_one(known, self._recent(self.primary))
        return known.lsn >= lsn

    def _recent(self, alias: str) -> Position | None:
        known = self._known.get(alias)
        is_recent = known is not None and monotonic() - known.asked_at < self.trusted
        return known if is_recent else None

    def note_down(self, alias: str) -> None:
        """Leave a replica out for some seconds, and until it answers."""
        self._down_until[alias] = monotonic() + self.down_seconds
        self._known.pop(alias, None)

    def use(self, soon: bool = False) -> None:
        """Have the watch go on. With ``soon`` a session waits for what it finds out."""
        now = self._used_at = monotonic()
        self._first_used_at = self._first_used_at or now
        self._is_wanted_soon |= soon
        if not soon and now - self._first_used_at < self.slow:
            # What only looks at the models, as the system checks do, needs none.
            return
        if now - self._alive_at < 2 * self.timeout * (len(self.replicas) + 1):
            return
        self._alive_at = now
        loop = _get_running_loop()
        if loop is None:
            name = f"turbo_orm-replicas-{get_ident()}"
            Thread(target=asyncio.run, args=[self._watch()], name=name, daemon=True).start()
            return
        task = loop.create_task(self._watch(), name="turbo_orm-replicas", context=Context())
        before = loop_closing.of_running_loop().before
        before.append(drop := partial(loop_closing.drop, task))
        task.add_done_callback(lambda task: before.remove(drop))

    # The watch

    async def _watch(self) -> None:
        open_connections: dict[str, Any] = {}
        try:
            while monotonic() - self._used_at < self.idle:
                self._is_wanted_soon = False
                await self._ask_all(open_connections)
                await self._pause()
        finally:
            self._alive_at = 0.0
            for connection in open_connections.values():
                connection.pgconn.finish()

    async def _pause(self) -> None:
        """Wait for as long as no session does, and a second at most."""
        until = monotonic() + self.slow
        await asyncio.sleep(self.quick)
        while monotonic() < until and not self._is_wanted_soon:
            self._alive_at = monotonic()
            await asyncio.sleep(self.quick)

    async def _ask_all(self, open_connections: dict[str, Any]) -> None:
        """Ask the primary, and then the replicas: they may have reached what it says."""
        self._alive_at = monotonic()
        await self._ask(self.primary, _OF_PRIMARY, open_connections)
        for alias in self.replicas:
            if self._down_until.get(alias, 0) <= monotonic():
                await self._ask(alias, _OF_REPLICA, open_connections)

    async def _ask(self, alias: str, query: str, open_connections: dict[str, Any]) -> None:
        asked_at = monotonic()
        connection = None
        try:
            async with asyncio.timeout(self.timeout):
                connection = open_connections.pop(alias, None)
                if connection is None:
                    connection = await psycopg.AsyncConnection.connect(**_parameters(alias))
                    asked_at = monotonic()
                row: Any = await (await connection.execute(query)).fetchone()
                started, lsn = row
        except BaseException as exc:
            if connection is not None:
                connection.pgconn.finish()
            self._known.pop(alias, None)
            if not isinstance(exc, Exception):
                raise
            if alias != self.primary:
                self.note_down(alias)
            return
        open_connections[alias] = connection
        before = self._known.get(alias)
        if before is not None and before.started != started:
            # It begins anew, at an earlier position.
            self._known.pop(alias, None)
        self._known[alias] = Position(asked_at, started, None if lsn is None else number(lsn))
        self._down_until.pop(alias, None)

    def forget(self) -> None:
        """Have no watch, in a process that was forked."""
        self._alive_at = 0.0


def number(lsn: str) -> int:
    """Return a position as PostgreSQL writes it (``16/B374D848``) as a number."""
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def _parameters(alias: str) -> dict[str, Any]:
    """Return the parameters of a connection of psycopg's to a database of the settings."""
    settings_dict = connections.settings[alias]
    wrapper = load_backend(settings_dict["ENGINE"]).DatabaseWrapper(settings_dict, alias)
    parameters = wrapper.get_connection_params()
    # Django's, for its own cursors.
    for name in ("context", "cursor_factory"):
        parameters.pop(name, None)
    return {**parameters, "autocommit": True, "application_name": "turbo_orm replicas"}


_all: WeakSet[Positions] = WeakSet()


def _forget_all() -> None:
    for each in _all:
        each.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
