"""Waiting for something that happens outside of this process, where no event loop runs."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any


def wait_until(condition: Callable[[], Any], seconds: float = 20) -> None:
    """Wait until a condition holds."""
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, "It has not come."
        sleep(0.02)
