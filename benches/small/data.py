"""The rows: articles in sections of twenty, and their writers."""

from django.db import connection

from benches.small.models import Article, Writer
from benches.small.values import ARTICLES, COUNTRIES, WRITERS, article, moment

# The columns of an article that are given: all but its key.
NAMES = [field.attname for field in Article._meta.concrete_fields if not field.primary_key]


def fill() -> None:
    """Fill the tables, unless that is done already, and forget what was written since."""
    if not Article.threaded.exists():
        Writer.threaded.bulk_create(
            Writer(name=f"Writer {n}", country=COUNTRIES[n % len(COUNTRIES)], joined=moment(n))
            for n in range(WRITERS)
        )
        Article.threaded.bulk_create(
            Article(**dict(zip(NAMES, article(n), strict=True))) for n in range(ARTICLES)
        )
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {Article._meta.db_table} WHERE id > {ARTICLES}")
        for model in (Writer, Article):
            cursor.execute(f"VACUUM (FREEZE, ANALYZE) {model._meta.db_table}")
