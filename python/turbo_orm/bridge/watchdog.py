"""Tells, while it happens, which code on the bridge keeps the event loop from all other tasks.

A bridge marks since when its code runs, until that waits or ends. A thread looks at the marks of
all event loops, and where one is older than ``TURBO_ORM["LOOP_WATCHDOG"]`` milliseconds, at the
frames of the code. It takes a sample: what took most of the time may have returned already. While
a C function holds the GIL, the thread does not run.
"""

from __future__ import annotations

import linecache
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from logging import getLogger
from threading import Event, Lock, Thread, get_ident
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any

from turbo_orm import conf
from turbo_orm.bridge.user_code import is_library, is_package, place, qualified_name

if TYPE_CHECKING:
    from turbo_orm.bridge.greenlets import Bridge

# By the id of a thread, since when code on a bridge runs there.
type Marks = dict[int, float]

_logger = getLogger("turbo_orm")

# Seconds between two looks, at least: as long as the interpreter lets a thread run.
_SHORTEST = 0.005
# How many lines are logged in a process.
_MOST = 1000
# What has called the code on a bridge.
_CALLER = "turbo_orm.bridge.greenlets._serve"
# Code that stands still in one of these is at a breakpoint.
_DEBUGGERS = re.compile(r"(bdb|pdb)$|_?pydev")


class WatchedBridge:
    """A bridge that marks when its code runs."""

    __slots__ = ("_bridge", "_marks")

    def __init__(self, bridge: Bridge, marks: Marks) -> None:
        self._bridge = bridge
        self._marks = marks

    def switch(self, *args: Any, **kwargs: Any) -> Any:
        thread = get_ident()
        self._marks[thread] = monotonic()
        try:
            return self._bridge.switch(*args, **kwargs)
        finally:
            self._marks.pop(thread, None)

    def throw(self, exc: BaseException) -> Any:
        thread = get_ident()
        self._marks[thread] = monotonic()
        try:
            return self._bridge.throw(exc)
        finally:
            self._marks.pop(thread, None)


class Watchdog:
    """The watchdog of a process. Its thread is started by the first bridge that is watched."""

    def __init__(self) -> None:
        #: Whether the settings were read, and switch it off.
        self.is_off = False
        # In seconds; None until the settings are read.
        self._limit: float | None = None
        self._marks: Marks = {}
        self._logged: set[tuple[str, int]] = set()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._stopped = Event()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._before_fork,
                after_in_parent=self._lock.release,
                after_in_child=self._after_fork,
            )

    def watched(self, bridge: Bridge) -> Bridge | WatchedBridge:
        """Return what switches to a bridge and marks it: the bridge itself, if it is off.

        One that runs on another bridge waits and ends while that is marked.
        """
        if self._limit is None:
            self._limit = conf.get("LOOP_WATCHDOG") / 1000
            self.is_off = not self._limit
        if not self._limit or isinstance(bridge.parent, type(bridge)):
            return bridge
        if self._thread is None:
            self._start(self._limit)
        return WatchedBridge(bridge, self._marks)

    def stop(self) -> None:
        """End the thread. The next bridge reads the settings anew, and starts one if it is on."""
        with self._lock:
            self._stop()
        self._limit = None
        self.is_off = False

    def follow_setting(self, *, setting: str, **kwargs: Any) -> None:
        """Receive ``setting_changed``: have the settings read anew."""
        if setting in (conf.NAME, "DEBUG"):
            self.stop()

    def _start(self, limit: float) -> None:
        with self._lock:
            if self._thread is not None:
                return
            self._stopped = Event()
            thread = Thread(
                target=self._watch,
                args=(limit, self._stopped),
                name="turbo-orm watchdog",
                daemon=True,
            )
            # No thread can be started while the interpreter shuts down.
            with suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def _stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopped.set()
            # It may be about to log by a handler that the caller has locked.
            thread.join(timeout=1)

    def _before_fork(self) -> None:
        # A process with two threads is warned of forking. The next bridge starts it again.
        self._lock.acquire()
        self._stop()

    def _after_fork(self) -> None:
        thread = get_ident()
        for other in [each for each in self._marks if each != thread]:
            del self._marks[other]
        self._lock.release()

    def _watch(self, limit: float, stopped: Event) -> None:
        # When running code was last looked at.
        looked_at: dict[tuple[int, float], float] = {}
        while not stopped.wait(max(limit / 2, _SHORTEST)):
            running = list(self._marks.items())
            looked_at = {mark: looked_at[mark] for mark in running if mark in looked_at}
            for mark in running:
                thread, since = mark
                now = monotonic()
                if now - looked_at.get(mark, since) >= limit:
                    looked_at[mark] = now
                    self._look_at(thread, since)

    def _look_at(self, thread: int, since: float) -> None:
        frame = sys._current_frames().get(thread)
        if frame is None:
            return
        calls = list(_calls(frame))
        if any(_is_debugger(call) for call in calls):
            return
        # The last one is the site's own, or else the innermost of a package.
        blocking = calls[-1]
        if is_library(blocking):
            blocking = next(filter(is_package, calls), calls[0])
        key = blocking.f_code.co_filename, blocking.f_lineno
        if key in self._logged or len(self._logged) >= _MOST:
            return
        where = place(blocking)
        source = linecache.getline(*key, blocking.f_globals).strip()
        inside = [qualified_name(call) for call in calls[: calls.index(blocking)]]
        milliseconds = (monotonic() - since) * 1000
        if self._marks.get(thread) != since:
            # The code has gone on while its frames were read.
            return
        self._logged.add(key)
        _logger.warning(
            "Code on the bridge has kept the event loop for %.0f ms at least, and is at %s%s%s. "
            "Nothing else runs in the event loop meanwhile. Await an async library instead, call "
            "what blocks by `await sync_to_async(function)(…)`, or have a sync view run in a "
            "thread by @turbo_orm.in_thread.",
            milliseconds,
            where,
            f": `{source}`" if source else "",
            _description(inside),
        )


def _calls(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield frames from the innermost to the first of the site's own code."""
    while frame is not None and qualified_name(frame) != _CALLER:
        yield frame
        if not is_library(frame):
            return
        frame = frame.f_back


def _is_debugger(frame: FrameType) -> bool:
    return _DEBUGGERS.match(frame.f_globals.get("__name__") or "") is not None


def _description(inside: list[str]) -> str:
    """Return what a log says of the functions that were called, the innermost first."""
    if not inside:
        return ""
    outer, inner = inside[-1], inside[0]
    return f", which has called {outer}" + (f", and that {inner}" if inner != outer else "")


watchdog = Watchdog()
