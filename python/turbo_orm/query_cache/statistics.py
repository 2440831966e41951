"""What the query cache counts, and what it tells of that."""

from __future__ import annotations

from typing import NamedTuple

# Reasons that are counted one by one. Any others are counted together.
MAX_REASONS = 200
OTHER_REASONS = "other reasons"


class CacheStatistics:
    """How often statements were looked up in this process, by outcome.

    The counters are not locked: with several threads they may miss some.
    """

    __slots__ = ("bypasses", "hits", "misses")

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        #: By reason.
        self.bypasses: dict[str, int] = {}

    def count_bypass(self, reason: str) -> None:
        if reason not in self.bypasses and len(self.bypasses) >= MAX_REASONS:
            reason = OTHER_REASONS
        self.bypasses[reason] = self.bypasses.get(reason, 0) + 1


class CacheInfo(NamedTuple):
    """The state of the query cache of this process, as ``turbo_orm.cache_info()`` returns it."""

    #: How many look-ups found a statement, found none yet, and were left to Django, by reason.
    hits: int
    misses: int
    bypasses: dict[str, int]
    #: How many entries there are (a chain of methods and each beginning of it is one), and how
    #: many there may be.
    entries: int
    max_entries: int
    #: How many bytes they take, by estimate, and how many they may take.
    bytes: int
    max_bytes: int
