"""Articles and their writers: tables so small that a query costs the server next to nothing."""

from django.db import models

from benches.tables.models import Table


class Writer(Table):
    """An author of articles."""

    name = models.CharField(max_length=60)
    country = models.CharField(max_length=2)
    joined = models.DateTimeField()


class Article(Table):
    """Eight columns of ordinary types."""

    writer = models.ForeignKey(Writer, models.CASCADE, related_name="+")
    title = models.CharField(max_length=100)
    section = models.IntegerField(db_index=True)
    words = models.IntegerField()
    rating = models.FloatField()
    is_draft = models.BooleanField()
    published = models.DateTimeField()
