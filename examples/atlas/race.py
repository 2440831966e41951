"""Both contenders at one question: the same answer, and the shorter time of several."""

import gc
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from atlas.comparison import Comparison
from atlas.contender import DJANGO, TURBO, Contender
from atlas.question import Question

BULK_ROWS = 1000


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
    difference = await _warmed_up(question)
    times: dict[Contender, list[float]] = {DJANGO: [], TURBO: []}
    for turn in range(repeat):
        answers: dict[Contender, Any] = {}
        # Who comes second finds warmer caches: they take turns at that too.
        for contender in (DJANGO, TURBO) if turn % 2 == 0 else (TURBO, DJANGO):
            seconds, answer = await _timed(question, contender)
            times[contender].append(seconds)
            if turn == repeat - 1:
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


async def _warmed_up(question: Question) -> str | None:
    answers = [await question.ask(contender) for contender in (DJANGO, TURBO)]
    return Comparison().difference(*answers)


async def _timed(question: Question, contender: Contender) -> tuple[float, Any]:
    # The garbage of one must not be collected in the other's time.
    gc.collect()
    started = perf_counter()
    answer = await question.ask(contender)
    return perf_counter() - started, answer
