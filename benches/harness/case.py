"""What a benchmark measures: an operation, done by a contender."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from benches.harness.contender import Contender

if TYPE_CHECKING:
    from benches.harness.harness import Harness


class Case(ABC):
    """A case of a suite, which is a frozen dataclass.

    A round is ``prepare()``, which is not timed, and a call of what ``work()`` returns, which is.
    """

    contender: Contender
    #: The contender whose answer is expected: Django, on its sync connection.
    reference: Contender
    #: What a round's time is, as the record names it: ``time``, ``calls`` or ``rate``.
    measured = "time"
    #: How often the timed function does the operation: the record has the time of one.
    iterations = 1
    rounds = 7
    #: Rounds before the timed ones. The check has been a first one already.
    warm_ups = 1

    @property
    @abstractmethod
    def group(self) -> str:
        """The cases with which this one is to be compared."""

    @property
    def size(self) -> str:
        """How much of it a round is, if the group does not say so."""
        return ""

    @property
    @abstractmethod
    def subject(self) -> dict[str, Any]:
        """What is done, in the record's terms: the report finds a benchmark by these."""

    @property
    def figures(self) -> dict[str, Any]:
        """What else the record has to say."""
        return {}

    @property
    def pacer(self) -> Case | None:
        """The case, psycopg's, whose rounds alternate with this one's."""
        return None

    def by(self, contender: Contender) -> Self:
        """Return the same case of another contender."""
        return replace(self, contender=contender)  # type: ignore[type-var]

    def prepare(self, harness: Harness) -> Any:
        """Bring the tables into the state that a round expects, and return ``work()``'s argument.

        With several connections that is a sequence: an argument for each.
        """
        return None

    @abstractmethod
    def work(self) -> Callable[[Any], Any]:
        """Return the timed function, which is a coroutine function if the contender is async.

        The contender is connected. The function is called once a round, on each connection.
        """

    @abstractmethod
    def answer(self, harness: Harness) -> list[Any]:
        """Do the operation, and return what it finds, or what it leaves in the tables.

        It is the same for all contenders.
        """

    def check_further(self, harness: Harness) -> None:
        """Check what goes beyond the answer."""
        return

    def finish(self, harness: Harness, result: Any) -> None:
        """Check the last round's result, and restore the tables."""
        return
