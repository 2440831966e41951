"""What a run measures, in which order, and for how long."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from benches import names
from benches.http.contenders import CONTENDERS
from benches.http.endpoints import ENDPOINTS
from benches.http.serve import APPLICATIONS

# Where a contender is the same as another: Django's handler gives each request a thread in any
# case, and patching Django changes nothing for a bare application.
_POINTLESS = {names.DJANGO_ONE_THREAD: "django", names.TURBO_PATCHED: "bare"}

# Connections to PostgreSQL, or threads.
POOL = 20


class Session(NamedTuple):
    """A server that is started once, and loaded at all endpoints."""

    round: int
    application: str
    contender: str


@dataclass(frozen=True)
class Plan:
    """The contenders, the loads by the number of clients in seconds, and the rounds."""

    contenders: tuple[str, ...] = tuple(CONTENDERS)
    applications: tuple[str, ...] = APPLICATIONS
    endpoints: tuple[str, ...] = tuple(ENDPOINTS)
    # The more clients, the longer until each of them has had some responses.
    seconds: tuple[tuple[int, int], ...] = ((10, 1), (100, 2), (1_000, 6))
    rounds: int = 3

    def sessions(self) -> Iterator[Session]:
        """Yield the servers to be started, contenders in turn, each round from another on."""
        for round_ in range(self.rounds):
            first = round_ * len(self.contenders) // self.rounds
            turn = self.contenders[first:] + self.contenders[:first]
            for application in self.applications:
                for contender in turn:
                    if application != _POINTLESS.get(contender):
                        yield Session(round_, application, contender)

    @property
    def duration(self) -> int:
        """The seconds of all loads of a session."""
        return len(self.endpoints) * sum(seconds for _, seconds in self.seconds)


QUICK = Plan(
    applications=("bare",),
    endpoints=("get", "list"),
    seconds=((100, 1), (1_000, 1)),
    rounds=1,
)
