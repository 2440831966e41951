"""An operation on a database that is some milliseconds away."""

from dataclasses import dataclass
from typing import Any

from benches.harness.case import Case
from benches.harness.harness import Harness
from benches.round_trips.contenders import Psycopg
from benches.round_trips.far import Proxy
from benches.small.composed.case import Calls


@dataclass(frozen=True)
class Distant(Calls):
    """So many calls of it, in rounds that alternate with those of psycopg, as far away."""

    round_trip: float
    psycopg: Psycopg

    measured = "distant calls"
    rounds = 12
    calls = 5

    def __str__(self) -> str:
        return f"{super().__str__()}-{self.round_trip:g}ms"

    @property
    def group(self) -> str:
        return f"{super().group}, {self.round_trip:g} ms"

    @property
    def subject(self) -> dict[str, Any]:
        return {**super().subject, "round_trip": self.round_trip}

    @property
    def pacer(self) -> Case:
        return self.by(self.psycopg)

    def answer(self, harness: Harness) -> list[Any]:
        """Return what calls find. What is prefetched has no order."""
        return [
            ([_in_order(each) for each in found], left) for found, left in super().answer(harness)
        ]

    def counted(self, harness: Harness, proxy: Proxy) -> float:
        """Return how many round trips a call takes."""
        call, prepared = harness.call(self), self.prepare(harness)
        before = proxy.count(self.round_trip)
        call(prepared)
        count = proxy.count(self.round_trip) - before
        self.finish(harness, None)
        return count / self.calls


def _in_order(found: Any) -> Any:
    """Return the columns of an instance, and the rows of what belongs to it, sorted."""
    if isinstance(found, list):
        return [sorted(each) if isinstance(each, list) else each for each in found]
    return found
