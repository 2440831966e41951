"""Each operation at each distance, contenders side by side."""

from typing import Any

import pytest

from benches.harness import record
from benches.harness.harness import Harness
from benches.round_trips.case import Distant
from benches.round_trips.contenders import KINDS, Psycopg, TurboPipeline
from benches.round_trips.far import ROUND_TRIPS, Proxy
from benches.round_trips.operations import OPERATIONS, PREFETCH


def _cases() -> list[Distant]:
    found = []
    for round_trip in ROUND_TRIPS:
        contenders = [kind(round_trip) for kind in KINDS]
        (psycopg,) = (each for each in contenders if isinstance(each, Psycopg))
        found += [
            Distant(operation, contender, round_trip, psycopg)
            for operation in OPERATIONS
            for contender in contenders
            # There is nothing to gather in a prefetch.
            if not (operation is PREFETCH and isinstance(contender, TurboPipeline))
        ]
    return found


@pytest.mark.parametrize("case", _cases(), ids=str)
def test_operation(benchmark: Any, harness: Harness, proxy: Proxy, case: Distant) -> None:
    harness.bench(benchmark, case)
    record.add(benchmark, round_trips=case.counted(harness, proxy))
