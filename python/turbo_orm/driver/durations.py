"""How long the server takes for a statement, on average: whether it is quick.

It is measured where the statement has a connection of its own, and kept with the statement.
"""

from __future__ import annotations

from time import perf_counter, thread_time

#: A statement is quick if the server answers it within so many seconds, on average.
QUICK = 0.005
#: What is assumed of one that was never executed, and of one that was found to be slow: how often
#: it has to be quick depends on it.
UNKNOWN = 0.04
SLOW = 1.0
#: A result of more rows is slow, however soon it comes.
ROWS = 1_000
# Of so many executions the last one is part of the average.
_AVERAGED = 8


def waited() -> float:
    """Return a time that passes while the thread waits, and not while it computes.

    Between two of them the server has had its time, to which a busy event loop adds nothing.
    """
    return perf_counter() - thread_time()


def average(seconds: float, last: float, rows: int) -> float:
    """Return in how many seconds a statement is answered, with what its last execution took."""
    return seconds + ((SLOW if rows > ROWS else last) - seconds) / _AVERAGED
