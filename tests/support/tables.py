"""The tables that tests write to: which of them were, and how they are emptied."""

from collections.abc import Iterable

from django.db import connections

from tests.library.data import WRITTEN

# A table that has pages, or whose sequence was used, has been written to since it was truncated,
# if only by a transaction that was rolled back.
_USED = """
    SELECT tables.oid::regclass::text
    FROM unnest(%s::regclass[]) AS tables (oid)
    WHERE pg_relation_size(tables.oid) > 0 OR EXISTS (
        SELECT FROM pg_depend JOIN pg_sequence ON seqrelid = objid
        WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
        AND refobjid = tables.oid AND pg_sequence_last_value(seqrelid) IS NOT NULL
    )
"""


def empty(alias: str) -> None:
    """Empty the tables that tests write to, and have their keys begin at 1 again."""
    truncate(alias, [model._meta.db_table for model in WRITTEN])


def truncate(alias: str, tables: Iterable[str]) -> None:
    """Empty tables, and those that refer to them, and have their keys begin at 1 again.

    DELETE would leave it open in which order new rows are found. TRUNCATE makes new files, which
    takes the server 2 ms a table, so it is told of no table that is as it has left it.
    """
    used = written(alias, tables)
    if used:
        with connections[alias].cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(used)} RESTART IDENTITY CASCADE")


def written(alias: str, tables: Iterable[str]) -> list[str]:
    """Return those tables that have been written to since they were last truncated."""
    with connections[alias].cursor() as cursor:
        cursor.execute(_USED, [list(tables)])
        return [name for (name,) in cursor.fetchall()]
