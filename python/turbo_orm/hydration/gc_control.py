"""Python's garbage collector, kept from looking at what has just been hydrated.

All of a slice is reachable while it is made, so the collector is off then; it is never off while
anything is waited for. Afterwards it would look at each new object two or three times on their way
through its generations, and at everything else in the process whenever there are a quarter more of
them: a third of the time of long lists, and the longest pauses. So a long slice goes straight to
the oldest generation, as ``gc.freeze()`` and ``gc.unfreeze()`` send it.

What goes there unseen is not counted by the collector, which would start a full collection too
late, or never. So long slices are counted here, and one is started, between two queries, where
the interpreter uses a quarter more blocks of memory than after the last one: the collector's own
measure, but of what is still alive. To count the blocks takes 0.1 ms where there are 200,000
objects; to count these, 5 ms.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

# Shorter slices stay young: looking at them costs little, and they soon die.
LONG = 1000
# Rows sent to the oldest generation before it is seen how much memory is in use.
PATIENCE = 20_000

# More frozen objects than this are somebody's, who froze all there were. Python 3.12 keeps some
# hundred immortal ones with them.
FROZEN = 5000

_lock = Lock()
_holders = 0
_was_enabled = False
_promoted = 0
_in_use = 0
_frozen = False


@contextmanager
def held_off(rows: int) -> Iterator[None]:
    """Keep the collector off while so many rows are hydrated, and from looking at them then.

    Several threads may do so at a time. The collector is left alone where it is switched off.
    """
    global _holders, _was_enabled
    with _lock:
        if not _holders:
            _was_enabled = gc.isenabled()
            gc.disable()
        _holders += 1
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if not _holders and _was_enabled:
                if rows >= LONG:
                    _promote(rows)
                gc.enable()


def collect_if_due() -> None:
    """Collect all garbage if many rows were promoted and a quarter more memory is in use."""
    global _promoted, _in_use
    if _promoted < PATIENCE:
        return
    _promoted = 0
    if not _in_use:
        _in_use = _blocks()
    elif _blocks() > _in_use * 1.25:
        gc.collect()
        _in_use = _blocks()


def _promote(rows: int) -> None:
    """Send all that is young to the oldest generation, unless somebody has ever frozen objects."""
    global _promoted, _frozen
    # It takes some milliseconds to count what a server has frozen before it forked.
    _frozen = _frozen or gc.get_freeze_count() > FROZEN
    if not _frozen:
        gc.freeze()
        gc.unfreeze()
        _promoted += rows


def _blocks() -> int:
    """Return how many blocks of memory are in use, or objects, if the allocator does not say."""
    return sys.getallocatedblocks() or len(gc.get_objects())
