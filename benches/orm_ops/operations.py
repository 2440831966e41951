"""The eleven operations, under the letters of the original."""

from collections.abc import Sequence
from typing import Any

from benches.orm_ops import work
from benches.orm_ops.operation import Kind, Operation


def _insert(letter: str, name: str, method: str) -> Operation:
    def shares() -> list[Sequence[Any]]:
        return work.shares(work.entries(letter))

    return Operation(letter, name, method, Kind.INSERT, shares, work.ROWS)


OPERATIONS = [
    _insert("A", "insert: single", "insert_single"),
    _insert("B", "insert: batch", "insert_batch"),
    _insert("C", "insert: bulk", "insert_bulk"),
    Operation("D", "filter: large", "filter_large", Kind.READ, work.levels, work.ROWS_OF_LEVELS),
    Operation("E", "filter: small", "filter_small", Kind.READ, work.pages, work.rows_of_pages()),
    Operation("F", "get", "get", Kind.READ, work.keys, work.GETS),
    Operation("G", "filter: dict", "filter_dict", Kind.READ, work.levels, work.ROWS_OF_LEVELS),
    Operation("H", "filter: tuple", "filter_tuple", Kind.READ, work.levels, work.ROWS_OF_LEVELS),
    Operation("I", "update: whole", "update_whole", Kind.CHANGE, work.shares, work.ROWS),
    Operation("J", "update: partial", "update_partial", Kind.CHANGE, work.shares, work.ROWS),
    Operation("K", "delete", "delete", Kind.CHANGE, work.shares, work.ROWS),
]
