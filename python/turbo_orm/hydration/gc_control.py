"""Pauses Python's garbage collector during hydration, and promotes what has been hydrated.

All of a slice is reachable while it is made, so a collection would find nothing; the collector is
never disabled while anything is awaited. Afterwards it would traverse each new object two or three
times on its way through the generations, and all objects of the process whenever there are a
quarter more of them: a third of the time of long lists, and the longest pauses. So the objects of
a long slice are moved to the oldest generation at once, by ``gc.freeze()`` and ``gc.unfreeze()``.

The collector does not count objects that are moved there, and would start a full collection too
late, or never. So the rows of long slices are counted here, and a full collection is started,
before a query is hydrated, where the interpreter has a quarter more blocks of memory allocated
than after the last one: the collector's own measure, but of what is still alive. To count the
blocks takes 0.1 ms where there are 200,000 objects; to count these, 5 ms.

What is prefetched is not moved: instances and what is related to them refer to each other, so only
the collector frees them. While they are young that costs little; a full collection takes 100 ms
where there are a million objects.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

# Rows of a slice that is promoted. Shorter ones stay young: most are freed before they age.
PROMOTED_SLICE = 1000
# Rows that are promoted before the blocks of memory are counted again.
ROWS_BETWEEN_COUNTS = 20_000

# With more frozen objects than this, the application has called gc.freeze(). Python 3.12 has a few
# hundred immortal objects among them.
FROZEN_BY_PYTHON = 5000

_lock = Lock()
_pauses = 0
_was_enabled = False
_promoted_rows = 0
_blocks_in_use = 0
_is_frozen = False


@contextmanager
def paused(rows: int, promotes: bool | None = None) -> Iterator[None]:
    """Disable the collector while so many rows are hydrated, and promote them if they are many.

    With ``promotes`` they are, and if it is ``False`` they stay young, however many they are.
    Several threads may do so at a time. A collector that the application has disabled stays so.
    """
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
                if rows >= PROMOTED_SLICE if promotes is None else promotes:
                    _promote(rows)
                gc.enable()


def collect_if_due() -> None:
    """Start a full collection if many rows were promoted and a quarter more memory is in use."""
    global _promoted_rows, _blocks_in_use
    if _promoted_rows < ROWS_BETWEEN_COUNTS:
        return
    _promoted_rows = 0
    if not _blocks_in_use:
        _blocks_in_use = _count_blocks()
    elif _count_blocks() > _blocks_in_use * 1.25:
        gc.collect()
        _blocks_in_use = _count_blocks()


def _promote(rows: int) -> None:
    """Move all young objects to the oldest generation, unless the application freezes objects.

    To unfreeze would undo what it has done. That is found once: to count what a server has frozen
    before it forked takes some milliseconds.
    """
    global _promoted_rows, _is_frozen
    _is_frozen = _is_frozen or gc.get_freeze_count() > FROZEN_BY_PYTHON
    if not _is_frozen:
        gc.freeze()
        gc.unfreeze()
        _promoted_rows += rows


def _count_blocks() -> int:
    """Return the number of allocated blocks of memory, or of objects under other allocators."""
    return sys.getallocatedblocks() or len(gc.get_objects())
