"""What a run measures, in which order, and for how long."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from benches import names
from benches.http.contenders import CONTENDERS
from benches.http.endpoints import AS_JSON, ENDPOINTS, NO_QUERY, OF_SYNC_VIEWS, SERIALIZED, SLOW
from benches.http.serve import APPLICATIONS

# Behind the middleware of startproject are those whose handlers are compared. Where a contender
# would be the same as another, it is left out: Django's handler gives each request a thread in any
# case, a bare application has no handler, and patching Django changes nothing for it.
_OTHERWISE = ("bare", "django")
_OF_CONTENDERS = {
    names.TURBO: APPLICATIONS,
    names.TURBO_MULTIPLEX: ("bare",),
    names.PSYCOPG_ORJSON: ("bare",),
    names.TURBO_PATCHED: ("django",),
    names.TURBO_HANDLER: ("django", "startproject"),
    names.TURBO_SYNC_VIEWS: ("django", "startproject"),
    names.DJANGO_SYNC: APPLICATIONS,
    names.DJANGO_1000_THREADS: ("startproject",),
    names.DJANGO_THREADS: APPLICATIONS,
    names.DJANGO_ONE_THREAD: ("bare",),
}
_WITH_SYNC_VIEWS = {names.TURBO_SYNC_VIEWS, names.DJANGO_SYNC, names.DJANGO_1000_THREADS}

# Connections to PostgreSQL.
POOL = 20


class Session(NamedTuple):
    """A server that is started once, and loaded at all endpoints."""

    round: int
    application: str
    contender: str

    def endpoints(self, wanted: Iterable[str] = ENDPOINTS) -> tuple[str, ...]:
        """Return those of some endpoints that the server has."""
        missing: set[str] = set()
        if self.application != "startproject" or self.contender not in _WITH_SYNC_VIEWS:
            missing |= {*OF_SYNC_VIEWS}
        if self.application != "bare" or self.contender != names.TURBO:
            missing.add(NO_QUERY)
        if self.application != "bare":
            missing |= {*AS_JSON}
        if self.contender == names.PSYCOPG_ORJSON:
            # Of the others, it would be psycopg.
            return tuple(each for each in wanted if each in AS_JSON)
        return tuple(each for each in wanted if each not in missing)


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
        """Yield the servers to be started, contenders in turn, each round from another on.

        Those without one of the endpoints are left out.
        """
        for round_ in range(self.rounds):
            first = round_ * len(self.contenders) // self.rounds
            turn = self.contenders[first:] + self.contenders[:first]
            for application in self.applications:
                for contender in turn:
                    if application in _OF_CONTENDERS.get(contender, _OTHERWISE):
                        session = Session(round_, application, contender)
                        if session.endpoints(self.endpoints):
                            yield session


QUICK = Plan(
    applications=("bare",),
    endpoints=("get", "list"),
    seconds=((100, 1), (1_000, 1)),
    rounds=1,
)

# What the targets of Django's handlers take.
HANDLERS = Plan(
    contenders=(
        names.TURBO,
        names.TURBO_HANDLER,
        names.TURBO_SYNC_VIEWS,
        names.DJANGO_SYNC,
        names.DJANGO_1000_THREADS,
        names.DJANGO_THREADS,
    ),
    endpoints=("get", SERIALIZED, SLOW),
    seconds=((100, 2), (1_000, 4)),
)
