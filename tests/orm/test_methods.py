"""The list of methods is complete for the Django that is installed, and the page has it."""

import ast
import inspect
import re
from functools import cache, partialmethod
from pathlib import Path

import django
import pytest
from django.apps import apps
from django.db.models import Manager, Model, QuerySet
from django.db.models.query import RawQuerySet
from django.utils.functional import cached_property

from tests.library.models import Player, Team
from tests.support import querysets
from tests.support.method_tables import OPERATORS
from tests.support.methods import (
    ATTRIBUTES,
    BRIDGE,
    GENERIC,
    MANAGER,
    MANY_TO_MANY,
    MODEL,
    NATIVE,
    QUERYSET,
    RAW,
    REVERSE,
    TABLES,
)
from turbo_orm import AsyncManager, AsyncQuerySet, AsyncRawQuerySet

TESTS = Path(__file__).resolve().parent
OLDEST, NEWEST = (5, 2), (6, 1)

# What every class has, or what makes an instance of it
NOT_ASKED_FOR = {"__class_getitem__", "__init__"}


def is_method(member):
    if isinstance(member, classmethod | staticmethod | partialmethod):
        return True
    if isinstance(member, property | cached_property):
        return True
    return callable(member) and not inspect.isclass(member)


def public(cls):
    """Return the names of a class's public methods and properties, inherited ones too."""
    return {
        name
        for name in dir(cls)
        if not name.startswith("_") and is_method(inspect.getattr_static(cls, name))
    }


def own(cls):
    """Return the names of those that a class defines itself, with operators."""
    return {
        name
        for name, member in vars(cls).items()
        if is_method(member) and (name.startswith("__") or not name.startswith("_"))
    } - NOT_ASKED_FOR


def made_for_fields():
    """Return the names of methods that Django makes for fields and options of models."""
    return {
        name
        for model in apps.get_models()
        for cls in model.__mro__
        for name, member in vars(cls).items()
        if isinstance(member, partialmethod) and not hasattr(Model, name)
    }


def named(methods):
    """Return the names that a list has for the Django that is installed."""
    there = [method for method in methods if method.since <= django.VERSION[:2] < method.until]
    return {name for method in there for name in [method.name, *forms(method)]}


def forms(method):
    """Return the names of a method's async forms."""
    return method.awaited.split() if method.how in {NATIVE, BRIDGE} else []


def test_every_method_of_a_queryset_is_listed():
    assert named(QUERYSET) - {"alist"} == public(QuerySet) | own(QuerySet)


def test_every_method_of_a_raw_queryset_is_listed():
    assert named(RAW) - {"alist"} == public(RawQuerySet) | own(RawQuerySet)


def test_every_method_of_a_manager_is_listed():
    of_querysets = named(method for method in QUERYSET if method.on_managers)
    assert named(MANAGER) | of_querysets == public(Manager)


RELATED = {
    "reverse foreign key": (REVERSE, Team.players),
    "many to many": (MANY_TO_MANY, Player.skills),
    "generic relation": (GENERIC, Player.comments),
}


@pytest.mark.parametrize("case", RELATED)
def test_every_method_of_a_related_manager_is_listed(case):
    methods, descriptor = RELATED[case]
    found = own(descriptor.related_manager_cls) - {"__str__"}
    # What is overridden is what the manager's own async form calls.
    inherited = {f"a{name}" for name in found if hasattr(Manager, f"a{name}")}
    assert named(methods) == found | inherited


def test_every_method_of_an_instance_is_listed():
    assert {name for name in named(MODEL) if not is_pattern(name)} >= public(Model)


def test_every_method_that_django_makes_for_fields_is_listed():
    listed = {pattern(name) for name in named(MODEL) - public(Model)}
    found = made_for_fields()
    assert {name for name in found if not any(re.fullmatch(it, name) for it in listed)} == set()
    assert {it for it in listed if not any(re.fullmatch(it, name) for name in found)} == set()


def is_pattern(name):
    return pattern(name) != name


def pattern(name):
    return re.sub("FOO|RELATED", r"\\w+", name)


CLASSES = {
    "QuerySet": AsyncQuerySet,
    "RawQuerySet": AsyncRawQuerySet,
    "Manager": AsyncManager,
    "Reverse foreign key": Team.players.related_manager_cls,
    "Many to many": Player.skills.related_manager_cls,
    "Generic relation": Player.comments.related_manager_cls,
    "Model": Player,
}

RELATED_TITLES = {"Reverse foreign key", "Many to many", "Generic relation"}

ALL = [(title, method) for title, methods in TABLES.items() for method in methods]
of_all = pytest.mark.parametrize(
    ("title", "method"), ALL, ids=[f"{title}-{method.name}" for title, method in ALL]
)


@of_all
def test_a_method_is_in_a_version_that_is_supported(title, method):
    assert method.since <= NEWEST
    assert method.until > OLDEST


@of_all
def test_the_async_form_of_a_method_is_there(title, method):
    names = forms(method)
    assert bool(names) is (method.how in {NATIVE, BRIDGE})
    for name in names:
        form = getattr(CLASSES[title], name)
        if title in RELATED_TITLES and name not in vars(CLASSES[title]):
            form = getattr(AsyncQuerySet, name)
        assert (
            inspect.iscoroutinefunction(form)
            or inspect.isasyncgenfunction(form)
            or name == "__aiter__"
        ), name


@of_all
def test_the_test_of_a_method_exists_and_speaks_of_it(title, method):
    module, _, function = method.test.partition("::")
    defined, words = contents(TESTS / module)
    assert function in defined
    if method in ATTRIBUTES or method.name in OPERATORS:
        return
    assert any(re.fullmatch(pattern(method.name), word) for word in words) or any(
        name in words for name in forms(method)
    )


@cache
def contents(module):
    """Return the tests that a module defines, and the names and strings that are in it.

    Those of the querysets that it asks are in a module of their own.
    """
    tree = ast.parse(module.read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    words = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            words.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            words.add(node.value)
        elif isinstance(node, ast.ImportFrom) and node.module == querysets.__name__:
            words |= contents(Path(querysets.__file__))[1]
    return {name for name in defined if name.startswith("test_")}, words
