"""What earlier versions have pickled or written into migrations is found where it is now.

``tests/pickles/`` has pickles of turbo-orm 0.1, when all modules were in one folder, one file for
each version of Django.
"""

import base64
import json
import pickle
import warnings
from importlib import import_module
from pathlib import Path

import django
import pytest
from django.db import models
from django.db.migrations.operations import CreateModel
from django.db.migrations.writer import OperationWriter

import turbo_orm
from tests.library.models import Author, Book
from turbo_orm import AsyncManager, AsyncQuerySet, AsyncRawQuerySet, HydrationError

FOLDER = Path(__file__).parent / "pickles"
RECORDED = json.loads((FOLDER / f"{django.VERSION[0]}.{django.VERSION[1]}.json").read_text())


def load(name):
    with warnings.catch_warnings():
        # Django warns of another patch level.
        warnings.simplefilter("ignore", RuntimeWarning)
        return pickle.loads(base64.b64decode(RECORDED[name]))


@pytest.mark.parametrize("name", ["queryset", "values"])
def test_a_queryset(name):
    loaded = load(name)
    assert type(loaded) is AsyncQuerySet
    assert loaded.model is Book
    made = Book.objects.filter(title="Emma").order_by("pk")[:3]
    expected = made if name == "queryset" else Book.objects.values_list("title", flat=True)
    assert str(loaded.query) == str(expected.query)
    assert list(loaded) == ([] if name == "queryset" else ["Emma"])


def test_a_query_makes_a_queryset_again():
    queryset = Book.objects.all()
    queryset.query = load("query")
    assert str(queryset.query) == str(Book.objects.filter(title="Emma").query)


def test_a_raw_queryset():
    loaded = load("raw")
    assert type(loaded) is AsyncRawQuerySet
    assert loaded.raw_query == "SELECT 1"


def test_an_instance():
    assert load("instance").name == "Jane"
    assert type(load("instance")) is Author


def test_an_error():
    error = load("error")
    assert type(error) is HydrationError
    assert error.args == ("why",)


def test_what_is_public():
    assert load("classes") == (
        turbo_orm.AsyncManager,
        turbo_orm.AsyncQuerySet,
        turbo_orm.AsyncRawQuerySet,
        turbo_orm.async_atomic,
        turbo_orm.run_sync,
        turbo_orm.explain_shape,
        turbo_orm.patch_django,
    )


def test_migrations_made_before():
    assert import_module("turbo_orm.manager").AsyncManager is AsyncManager


@pytest.mark.parametrize("name", turbo_orm.__all__)
def test_what_is_public_is_known_by_its_public_path(name):
    public = getattr(turbo_orm, name)
    assert public.__module__ == "turbo_orm"
    assert pickle.loads(pickle.dumps(public)) is public


def test_migrations_have_the_public_path():
    manager = AsyncManager()
    manager.use_in_migrations = True
    operation = CreateModel("Thing", [("id", models.AutoField(primary_key=True))], None, None)
    operation.managers = [("objects", manager)]
    written, imports = OperationWriter(operation, indentation=0).serialize()
    assert "turbo_orm.AsyncManager()" in written
    assert "import turbo_orm" in imports
