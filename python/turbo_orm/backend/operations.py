"""Database operations of an engine's, with the compiler of inserts in **compiler**."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.compiler import SQLInsertCompiler
from django.db.backends.postgresql.operations import DatabaseOperations

from turbo_orm.backend.compiler import InsertCompiler


class OtherInserts:
    """Has another compiler of inserts. Mixed into Django's operations."""

    def compiler(self, compiler_name: str) -> Any:
        if compiler_name == SQLInsertCompiler.__name__:
            return InsertCompiler
        return super().compiler(compiler_name)  # type: ignore[misc]


class Operations(OtherInserts, DatabaseOperations):
    """Django's operations, with another compiler of inserts."""
