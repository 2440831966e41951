"""Both contenders at one question: the same answer, and the shorter time of several."""

import gc
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from atlas.comparison import Comparison
from atlas.contender import DJANGO, TURBO, Contender
from atlas.question import Question

BULK_ROWS = 1000
# What takes no time is asked so many times as often.
SMALL = 10


@dataclass(frozen=True)
class Finding:
    """What the race has shown for a question; times are in seconds."""

    question: Question
    rows: int
    django: float
    turbo: float
    difference: str | None
    first: list[str]

    @property
    def ratio(self) -> float:
        return self.django / self.turbo

    @property
    def same(self) -> bool:
        return self.difference is None

    @property
    def bulk(self) -> bool:
        """Whether this is a read of so many rows that hydration decides its time."""
        return self.question.reads and self.rows >= BULK_ROWS


async def race(question: Question, repeat: int) -> Finding:
    """Warm up, then time both by turns; the first answers and the last ones are compared."""
    first = {contender: await question.ask(contender) for contender in (DJANGO, TURBO)}
    difference = Comparison().difference(first[DJANGO], first[TURBO])
    is_small = question.rows(first[TURBO]) < BULK_ROWS
    del first
    times: dict[Contender, list[float]] = {DJANGO: [], TURBO: []}
    # The garbage of one must not be collected in the other's time.
    gc.collect()
    turns = repeat * SMALL if is_small else repeat
    for turn in range(turns):
        answers: dict[Contender, Any] = {}
        # Who comes second finds warmer caches: they take turns at that too.
        for contender in (DJANGO, TURBO) if turn % 2 == 0 else (TURBO, DJANGO):
            if not is_small:
                gc.collect()
            started = perf_counter()
            answer = await question.ask(contender)
            times[contender].append(perf_counter() - started)
            if turn == turns - 1:
                answers[contender] = answer
            del answer
    return Finding(
        question,
        rows=question.rows(answers[TURBO]),
        django=min(times[DJANGO]),
        turbo=min(times[TURBO]),
        difference=difference or Comparison().difference(answers[DJANGO], answers[TURBO]),
        first=list(question.first(answers[TURBO])),
    )
