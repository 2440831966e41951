"""Fields that query while Django compiles: what they ask may be in the cache, too."""

from functools import partial

import pytest
from django.db import models
from django.db.transaction import atomic
from django.test.utils import isolate_apps

from tests.library.models import Author, Book
from turbo_orm import AsyncManager, explain_cache, run_sync
from turbo_orm.test import shared_connections

pytestmark = pytest.mark.usefixtures("library", "empty_cache")


class Asking(models.ForeignObject):
    """A relation that restricts its joins by what it queries for."""

    def get_extra_restriction(self, alias, related_alias):
        Author.objects.filter(name="Ada").exists()


class Named(models.IntegerField):
    """The key of an author, who is looked up by their name."""

    def get_prep_value(self, value):
        return value

    def get_db_prep_value(self, value, connection, prepared=False):
        return Author.objects.get(name=value).pk


def asked_in_all_ways(run, make):
    """Count the rows of a queryset in a test, in plain code, in a task and on the bridge."""
    counts = []
    with atomic(), shared_connections():
        counts += [make().count() for _ in range(4)]
    for _ in range(4):
        counts.append(make().count())
        counts.append(run(make().acount))
        counts.append(run(partial(run_sync, make().count)))
    return counts


@isolate_apps("tests.library")
def test_a_value_that_is_looked_up(run):
    """No connection is left with the statement, which another one would run into."""
    name = Author.objects.filter(books__isnull=False).order_by("pk")[0].name
    expected = Book.objects.filter(author__name=name).count()

    class Written(models.Model):
        author = Named(db_column="author_id")

        objects = AsyncManager()

        class Meta:
            app_label = "library"
            db_table = Book._meta.db_table
            managed = False

    make = lambda: Written.objects.filter(author=name)  # noqa: E731
    assert {*asked_in_all_ways(run, make)} == {expected}
    for _ in range(4):
        assert {type(each) for each in make()} == {Written}
        assert {type(each) for each in run(make().alist)} == {Written}
    assert "the rows decide what Django does next" in str(explain_cache(make(), "acount"))
    assert "a value decides the SQL" in str(explain_cache(make(), "alist"))


@isolate_apps("tests.library")
def test_the_reverse_of_a_relation_that_restricts(run):
    class Person(models.Model):
        objects = AsyncManager()

        class Meta:
            app_label = "library"
            db_table = Author._meta.db_table
            managed = False

    class Written(models.Model):
        author_id = models.IntegerField()
        pages = models.IntegerField()
        writer = Asking(Person, models.CASCADE, ["author_id"], ["id"], related_name="written")

        class Meta:
            app_label = "library"
            db_table = Book._meta.db_table
            managed = False

    make = partial(Person.objects.filter, written__pages__gt=0)
    assert {*asked_in_all_ways(run, make)} == {Author.objects.filter(books__pages__gt=0).count()}
    assert "get_extra_restriction of its own" in str(explain_cache(make(), "acount"))
