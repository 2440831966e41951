"""Django's models of the tables, with the manager that the settings name."""

from django.conf import settings
from django.db import models
from django.utils.module_loading import import_string

Manager = import_string(settings.HTTP_MANAGER)


class Author(models.Model):
    name = models.CharField(max_length=60)
    email = models.EmailField()

    objects = Manager()

    class Meta:
        db_table = "author"


class Entry(models.Model):
    created = models.DateTimeField()
    level = models.IntegerField()
    text = models.TextField()
    author = models.ForeignKey(Author, models.CASCADE, related_name="entries")

    objects = Manager()

    class Meta:
        db_table = "entry"


class Visit(models.Model):
    entry_id = models.BigIntegerField()
    referrer = models.CharField(max_length=200)

    objects = Manager()

    class Meta:
        db_table = "visit"


class Counter(models.Model):
    visits = models.IntegerField()

    objects = Manager()

    class Meta:
        db_table = "counter"
