"""PostgreSQL's arrays of the values that many instances have for a field, written by the core.

They are the parameters of the bulk inserts of **compiler** and of turbo_orm.orm.bulk_update.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Model

from turbo_orm import bridge

# Instances whose values are written at a time, before the event loop may get a turn.
SLICE = 1000


def instance_dicts(model: type[Model], objs: Sequence[Any]) -> list[dict[str, Any]] | None:
    """Return the instances' ``__dict__``s, or ``None`` unless all are exactly of the model."""
    if {*map(type, objs)} != {model}:
        return None
    return [obj.__dict__ for obj in objs]


def array_literal(encoder: Any, rows: list[dict[str, Any]], attname: str) -> str | None:
    """Return PostgreSQL's text of an array of what each of ``rows`` has under a name.

    Return ``None`` if the encoder declines a value.
    """
    checkpoints = bridge.Checkpoints()
    parts = []
    for start in range(0, len(rows), SLICE):
        checkpoints.maybe_yield()
        if (part := encoder.array(rows[start : start + SLICE], attname)) is None:
            return None
        parts.append(part[1:-1])
    return f"{{{','.join(parts)}}}"
