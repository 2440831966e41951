"""Articles and their writers, books and what belongs to them: tables so small that a query costs
the server next to nothing.
"""

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


class Tag(Table):
    """A label of books."""

    name = models.CharField(max_length=30)


class Author(Table):
    """An author of ten books."""

    name = models.CharField(max_length=60)
    born = models.IntegerField(db_index=True)
    joined = models.DateField()


class Book(Table):
    """A book, with tags, chapters and notes."""

    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    tags = models.ManyToManyField(Tag, related_name="books")
    title = models.CharField(max_length=100, unique=True)
    year = models.IntegerField(db_index=True)
    pages = models.IntegerField()


class Chapter(Table):
    """A part of a book, which is deleted with it."""

    book = models.ForeignKey(Book, models.CASCADE, related_name="chapters")
    title = models.CharField(max_length=100)


class Note(Table):
    """A reader's note, which is deleted with its book."""

    book = models.ForeignKey(Book, models.CASCADE, related_name="notes")
    text = models.CharField(max_length=100)


class Person(Table):
    """A table whose rows may have another part in a table of employees."""

    name = models.CharField(max_length=60)


class Employee(Person):
    """The other part: a child by multi-table inheritance."""

    room = models.IntegerField()


class Watched(Table):
    """A table whose model has receivers of its signals."""

    name = models.CharField(max_length=60)
    saved = models.IntegerField()


def _see(sender: type[models.Model], **named: object) -> None:
    """Receive ``pre_save`` and ``post_save``, and do nothing."""


models.signals.pre_save.connect(_see, sender=Watched)
models.signals.post_save.connect(_see, sender=Watched)
