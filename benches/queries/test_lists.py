"""Lists of rows: every contender, in each shape that it has.

Each benchmark checks its answer against Django's sync one before it times it. A query is timed
from the making of the queryset to the freeing of its results.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db.models import Model

from benches.arena import Arena
from benches.contenders.contender import Contender
from benches.contenders.driver import Asyncpg, Psycopg
from benches.contenders.orm import BACKEND, DJANGO_ASYNC, DJANGO_SYNC, TURBO, TURBO_SYNC
from benches.contenders.yara import Yara
from benches.shape import INSTANCES, SELECT_RELATED, VALUES, VALUES_LIST, Shape
from benches.tables.models import Columns32, Narrow, Text, Wide

CONTENDERS = [DJANGO_SYNC, DJANGO_ASYNC, BACKEND, Yara(), Psycopg(), Asyncpg(), TURBO]
ROWS = [1, 20, 100, 1_000, 10_000, 100_000]


def _shapes() -> Iterator[tuple[type[Model], Shape, list[Contender]]]:
    for model in (Narrow, Wide):
        yield model, INSTANCES, [*CONTENDERS, TURBO_SYNC]
        yield model, VALUES, CONTENDERS
        yield model, VALUES_LIST, CONTENDERS
    yield Wide, SELECT_RELATED, CONTENDERS
    for model in (Text, Columns32):
        yield model, INSTANCES, CONTENDERS


def _cases() -> Iterator[Any]:
    for model, shape, contenders in _shapes():
        for rows in ROWS:
            for contender in contenders:
                name = f"{model._meta.model_name}-{shape.name}-{rows}rows-{contender.name}"
                yield pytest.param(model, shape, rows, contender, id=name.replace(" ", "-"))


@pytest.mark.parametrize(("model", "shape", "rows", "contender"), list(_cases()))
def test_list(
    benchmark: Any,
    arena: Arena,
    model: type[Model],
    shape: Shape,
    rows: int,
    contender: Contender,
) -> None:
    table = model._meta.model_name
    benchmark.group = f"{table} {shape.name}, {rows:,} rows"
    benchmark.name = contender.name
    benchmark.extra_info |= {
        "table": table,
        "shape": shape.name,
        "rows": rows,
        "contender": contender.name,
    }
    arena.check(contender, model, shape, rows)
    arena.time(benchmark, contender, contender.query(model, shape, rows), rows)
