"""Django's queries and compilers, of which turbo-orm makes none where a statement is cached."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler
from tests.support.counting import calls

_FUNCTIONS: tuple[Any, ...] = (Query.__init__, Query.clone, SQLCompiler.__init__)


@contextmanager
def nothing_is_made() -> Iterator[None]:
    """Assert that neither a query nor a compiler is made, nor a query copied."""
    made: list[str] = []
    codes = [function.__code__ for function in _FUNCTIONS]
    with calls(codes, lambda code: made.append(code.co_qualname)):
        yield
    assert not made, made
