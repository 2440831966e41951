"""The rows: articles in sections of twenty, and their writers."""

from typing import Any

from django.db import connection

from benches.small.models import Article, Writer
from benches.small.values import ARTICLES, COUNTRIES, WRITERS, article, moment

# The columns of an article that have a value: all but its key.
NAMES = [field.attname for field in Article._meta.concrete_fields if not field.primary_key]


def fill() -> None:
    """Fill the tables, unless they are full."""
    if Article.threaded.exists():
        return
    Writer.threaded.bulk_create(
        Writer(name=f"Writer {n}", country=COUNTRIES[n % len(COUNTRIES)], joined=moment(n))
        for n in range(WRITERS)
    )
    Article.threaded.bulk_create(
        Article(**dict(zip(NAMES, article(n), strict=True))) for n in range(ARTICLES)
    )
    _execute("VACUUM (FREEZE, ANALYZE) {writer}, {article}")


def restore() -> None:
    """Have the tables as ``fill()`` has made them, after operations that write."""
    _execute("TRUNCATE {writer}, {article} RESTART IDENTITY")
    fill()


def left() -> tuple[list[Any], list[Any]]:
    """Return what operations may have written: the newest article, and all numbers of words."""
    newest = Article.threaded.order_by("-pk").values_list(*NAMES)[:1]
    words = Article.threaded.order_by("pk").values_list("words", flat=True)[:ARTICLES]
    return [*newest], [*words]


def _execute(sql: str) -> None:
    tables = {"writer": Writer._meta.db_table, "article": Article._meta.db_table}
    with connection.cursor() as cursor:
        cursor.execute(sql.format(**tables))
