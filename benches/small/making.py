"""Django's queries and compilers, of which turbo-orm makes none where a statement is cached."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler


@contextmanager
def nothing_is_made() -> Iterator[None]:
    """Assert that neither a query nor a compiler is made, nor a query copied."""
    made: list[str] = []

    def recorded(owner: type, name: str) -> Any:
        original = getattr(owner, name)

        def record(self: Any, *args: Any, **kwargs: Any) -> Any:
            made.append(f"{owner.__name__}.{name}")
            return original(self, *args, **kwargs)

        return record

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((Query, "__init__"), (Query, "clone"), (SQLCompiler, "__init__")):
            patch.setattr(owner, name, recorded(owner, name))
        yield
    assert not made, made
