"""Each operation on each journal, contenders side by side.

Each benchmark first checks that a contender reads what Django does, or leaves the same rows.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from benches.orm_ops.contenders.backend import Backend
from benches.orm_ops.contenders.piccolo import Piccolo
from benches.orm_ops.contenders.sqlalchemy import SqlAlchemy
from benches.orm_ops.contenders.tortoise import Tortoise
from benches.orm_ops.contenders.turbo import Turbo
from benches.orm_ops.contenders.yara import Yara
from benches.orm_ops.journals.models import Journal1, Journal2, Journal3
from benches.orm_ops.operations import OPERATIONS
from benches.orm_ops.track import DJANGO_SYNC, Track
from benches.orm_ops.trial import Trial

CONTENDERS = [DJANGO_SYNC, Backend(), Yara(), Tortoise(), SqlAlchemy(), Piccolo(), Turbo()]
TRIALS = [
    Trial(model, operation, contender)
    for model in (Journal1, Journal2, Journal3)
    for operation in OPERATIONS
    for contender in CONTENDERS
]


@pytest.fixture(scope="module")
def track(tables: None) -> Iterator[Track]:
    track = Track()
    yield track
    track.close()


@pytest.mark.parametrize("trial", TRIALS, ids=str)
def test_operation(benchmark: Any, track: Track, trial: Trial) -> None:
    track.bench(benchmark, trial)
