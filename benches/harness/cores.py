"""A core for the client, and the others for the server, so that neither waits for the other.

A contender's threads share the client's core with it: what is compared is the work.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager


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
