"""Functions that ``transaction.on_commit()`` registers: plain ones, and coroutine functions.

Django calls them after the commit, which **base**'s wrapper makes on the bridge, and
django-async-backend's ``async_atomic`` in the event loop: both await what a function returns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import update_wrapper
from inspect import isawaitable
from typing import Any

from turbo_orm import bridge


class CommitHook:
    """A function to be called after a commit: by Django on the bridge, or by the event loop."""

    def __init__(self, function: Callable[[], Any]) -> None:
        update_wrapper(self, function)
        self.function = function

    def __call__(self) -> Awaitable[None] | None:
        if not bridge.active():
            return bridge.run(self.call)
        self.call()
        return None

    def __repr__(self) -> str:
        return repr(self.function)

    def call(self) -> None:
        """Call the function on the bridge, and await its result if it can be awaited."""
        result = self.function()
        if isawaitable(result):
            bridge.await_(result)


def call_outside_transaction(alias: str, function: Callable[[], Any]) -> None:
    """Call a function at once, in plain code of an event loop, which cannot await its result."""
    result = function()
    if not isawaitable(result):
        return
    if isinstance(result, Coroutine):
        result.close()
    raise RuntimeError(
        f"There is no transaction on {alias!r} whose commit {function!r} could wait for: "
        f"await it, or register it inside `async with async_atomic({alias!r}):`."
    )
