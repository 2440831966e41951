"""The response of an endpoint: plain data of instances or rows, and its JSON."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from benches.http.endpoints import AUTHORS

_FIRST = datetime(2025, 1, 1, microsecond=250_000, tzinfo=UTC)
ENTRY = ("id", "created", "level", "text", "author_id")
AUTHOR = ("id", "name", "email")


def entry(instance: Any) -> dict[str, Any]:
    """Return the data of an entry."""
    return {
        "id": instance.id,
        "created": instance.created,
        "level": instance.level,
        "text": instance.text,
        "author_id": instance.author_id,
    }


def entry_without_query(key: int) -> dict[str, Any]:
    """Return the data of an entry as ``schema`` has written it."""
    return {
        "id": key,
        "created": _FIRST + key * timedelta(seconds=97),
        "level": key % 5 * 10,
        "text": f"entry {key}, " * 4,
        "author_id": 1 + key % AUTHORS,
    }


def joined(instance: Any) -> dict[str, Any]:
    """Return the data of an entry with its author."""
    author = instance.author
    return {
        **entry(instance),
        "author": {"id": author.id, "name": author.name, "email": author.email},
    }


def entry_of_row(row: Sequence[Any]) -> dict[str, Any]:
    """Return the data of an entry whose columns are selected in this order."""
    return dict(zip(ENTRY, row, strict=True))


def joined_of_row(row: Sequence[Any]) -> dict[str, Any]:
    """Return the data of an entry whose columns are selected before its author's."""
    return {**entry_of_row(row[:5]), "author": dict(zip(AUTHOR, row[5:], strict=True))}


def by_millisecond(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return entries whose moments are written by the millisecond, as Django's encoder does."""
    return [
        {
            **entry,
            "created": datetime.fromisoformat(entry["created"]).isoformat(timespec="milliseconds"),
        }
        for entry in entries
    ]


def written(key: int) -> dict[str, Any]:
    """Return the data of an entry that has been visited."""
    return {"visited": key}


def body(answer: Any) -> bytes:
    """Return the JSON of an answer, unless it is that already."""
    if isinstance(answer, bytes):
        return answer
    return json.dumps(answer, default=datetime.isoformat).encode()
