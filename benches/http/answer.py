"""The response of an endpoint: plain data of instances or rows, and its JSON."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

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


def written(key: int) -> dict[str, Any]:
    """Return the data of an entry that has been visited."""
    return {"visited": key}


def body(answer: Any) -> bytes:
    """Return the JSON of an answer."""
    return json.dumps(answer, default=datetime.isoformat).encode()
