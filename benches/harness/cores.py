"""A core for the client, and the others for the server, so that neither waits for the other.

A contender's threads share the client's core with it: what is compared is the work.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def apart() -> Iterator[None]:
    """Bind this process to the first core, and what it starts meanwhile to the others.

    Does nothing where there is a single core, or where processes cannot be bound to one.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        yield
        return
    os.sched_setaffinity(0, cores[1:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores[:1])


def send_away(process: int) -> None:
    """Bind a process to the cores that are not this one's, if there are any."""
    if hasattr(os, "sched_getaffinity"):
        others = {*range(os.cpu_count() or 1)} - os.sched_getaffinity(0)
        # Some of them may be none of this process's to use.
        with suppress(OSError):
            os.sched_setaffinity(process, others)
