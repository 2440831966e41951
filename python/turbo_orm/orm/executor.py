"""What executes cached statements where sync code runs: on the bridge, or on a sync connection."""

from __future__ import annotations

from asyncio import _get_running_loop
from collections.abc import Callable
from typing import Any

from turbo_orm import bridge
from turbo_orm.execution import direct
from turbo_orm.execution.arriving_rows import ArrivingRows
from turbo_orm.query_cache.outcome import Hit

# It returns what direct.execute() does, or None where the rows could not be read.
type Execute = Callable[..., tuple[Any, Any] | None]


def executor() -> Execute | None:
    """Return what executes statements where the code runs, ``None`` where it may not wait.

    It returns ``None`` where rows cannot be read, without having executed anything.
    """
    running = bridge.current()
    if running is not None:
        # Where another connection stands in, nothing can be awaited.
        return None if running.stand_ins else execute_on_bridge
    return direct.execute_sync if _get_running_loop() is None else None


def execute_on_bridge(
    using: str, found: Hit, arriving: ArrivingRows | None = None
) -> tuple[Any, Any]:
    """Do what ``direct.execute()`` does, in sync code."""
    return bridge.await_(direct.execute(using, found, arriving))
