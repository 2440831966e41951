"""Django's database operations, with the compiler of inserts in **compiler**."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.compiler import SQLInsertCompiler
from django.db.backends.postgresql.operations import DatabaseOperations

from turbo_orm.backend.compiler import InsertCompiler


class Operations(DatabaseOperations):
    """Django's operations, with another compiler of inserts."""

    def compiler(self, compiler_name: str) -> Any:
        if compiler_name == SQLInsertCompiler.__name__:
            return InsertCompiler
        return super().compiler(compiler_name)
