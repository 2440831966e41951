"""Where the receivers of the signals of a request run.

Django's own reset and close what threads have left behind: most have nothing to do on the event
loop. Those that the project lists run on the bridge, and all others in a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import unwrap
from typing import Any, NamedTuple

from asgiref.sync import AsyncToSync, SyncToAsync
from django.core.cache import caches, close_caches
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries
from django.dispatch import Signal

from turbo_orm.backend.task_connections import in_context
from turbo_orm.handlers.local_storage import is_empty
from turbo_orm.handlers.places import Place, is_listed

_DJANGOS = ("django.", "turbo_orm.")
_caches: Any = caches
_live_receivers: Any = Signal._live_receivers


class _Known(NamedTuple):
    """What was found out of a signal: the receivers that it had, and those with work to do."""

    entries: list[Any]
    receivers: list[Callable[..., Any]]


_known: dict[Any, _Known] = {}


def without_waiting(signal: Any, sender: Any) -> list[Callable[..., Any]] | None:
    """Return the receivers of a signal of requests, where no thread was used.

    Those of Django's that have nothing to do without a thread are left out. ``None`` where there
    are receivers that may wait.
    """
    known = _known.get(signal)
    if known is None or known.entries != signal.receivers or _is_instrumented():
        known = _look_at(signal, sender)
        if known is None:
            return None
    return [
        each
        for each in known.receivers
        if not (each is reset_queries and not in_context.get())
        and not (each is close_caches and is_empty(_caches._connections))
    ]


def _look_at(signal: Any, sender: Any) -> _Known | None:
    sync, async_ = signal._live_receivers(sender)
    if async_ or not all(map(_is_djangos, sync)):
        return None
    entries = list(signal.receivers)
    # Async connections follow their tasks.
    known = _Known(entries, [each for each in sync if each is not close_old_connections])
    # Others may be for other senders.
    if len(sync) == len(entries) and not _is_instrumented():
        _known[signal] = known
    return known


def _is_instrumented() -> bool:
    """Return whether a tool looks on at each receiver."""
    return Signal._live_receivers is not _live_receivers


def place_of_receivers(signal: Any, sender: Any) -> Place:
    """Return where the sync receivers of a signal run: all in one place, as Django calls them."""
    sync, async_ = signal._live_receivers(sender)
    if all(map(_is_djangos, sync)):
        # async_to_sync() needs the bridge.
        return Place.BRIDGE if async_ else Place.INLINE
    if all(_is_djangos(receiver) or is_listed(receiver) for receiver in sync):
        return Place.BRIDGE
    return Place.THREAD


def place_of_sending(function: Any) -> Place:
    """Return where the function runs that ``asend()`` makes to call the sync receivers."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    signal = cells["self"].cell_contents
    if signal not in (request_started, request_finished):
        return Place.THREAD
    return place_of_receivers(signal, cells["sender"].cell_contents)


def has_used_thread() -> bool:
    """Return whether the request has had something run in its thread, which may be left open."""
    executors: Any = AsyncToSync.executors
    if not is_empty(executors) and getattr(executors, "current", None) is not None:
        # It is that of sync code which waits for the request: of a test.
        return True
    context = SyncToAsync.thread_sensitive_context.get(None)
    # None has a thread: to look for this one would cost more.
    in_threads: Any = SyncToAsync.context_to_thread_executor
    return context is None or bool(in_threads.data and context in in_threads)


def _is_djangos(receiver: Any) -> bool:
    # A tool that looks on wraps each receiver.
    return str(getattr(unwrap(receiver), "__module__", "")).startswith(_DJANGOS)
