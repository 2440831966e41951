"""Waiting for what has to end first, whatever happens to the task that waits."""

from __future__ import annotations

import asyncio
from typing import Any


async def until_done(future: asyncio.Future[Any]) -> asyncio.CancelledError | None:
    """Wait until a future is done. Return how the task was cancelled meanwhile, if it was.

    It is to be raised by the caller, whose cancellation it is.
    """
    cancelled = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as exc:
            cancelled = exc
    return cancelled
