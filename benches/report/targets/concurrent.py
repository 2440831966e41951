"""The targets of 200 tasks over twenty connections, next to psycopg's pool."""

from functools import partial

from benches.report import concurrent
from benches.report.quotient import quotient
from benches.report.run import Run
from benches.report.target import Target

_LOOPS = ("asyncio", "uvloop")
_OURS = concurrent.OURS


def _waiting(run: Run) -> float | None:
    without, with_slow = concurrent.waits(run, _OURS)
    return quotient(with_slow, without)


TARGETS = [
    *(
        Target(
            f"`aget()` by 200 tasks, {_OURS}, statements/s, {loop}, ÷ psycopg's pool",
            partial(concurrent.over_psycopg, loop=loop, contender=_OURS),
            4,
            8,
            higher=True,
            form="{:.1f} ×",
        )
        for loop in _LOOPS
    ),
    *(
        Target(
            f"the server's CPU time per statement, {loop}, ÷ psycopg's pool",
            partial(concurrent.processor_time_over_psycopg, loop=loop, contender=_OURS),
            0.6,
            0.4,
        )
        for loop in _LOOPS
    ),
    Target("P99 of a statement while one of 200 ms runs each second ÷ without it", _waiting, 1.5),
]
