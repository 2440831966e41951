"""Content types in compiled statements: Django looks up their keys while it compiles.

A join over a ``GenericRelation`` compares with the key of a content type, which is another one
after a ``flush``, in another database or in another schema. While a statement is traced, such a
relation has a made-up key, which shows where in the parameters the key is. It is asked anew of
Django's cache of content types whenever the statement is bound.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from types import SimpleNamespace
from typing import Any

from turbo_orm.query_cache.compiled import Unbindable

_MODULE = "django.contrib.contenttypes.fields"

# The made-up keys are below the largest that a column of content types can have.
_FIRST = 2_147_000_000
_relations: list[Any] = []


class ContentTypeKey:
    """A parameter that is the key of the content type of a generic relation's model."""

    def __init__(self, relation: Any, wrapper: Any) -> None:
        self._relation = relation
        #: psycopg's type for integers of the column.
        self._wrapper = wrapper

    def __call__(self) -> Any:
        """Return the parameter. Raise ``Unbindable`` where Django would have to query for it."""
        from django.contrib.contenttypes.models import ContentType

        manager: Any = ContentType.objects
        relation = self._relation
        opts = manager._get_opts(relation.model, relation.for_concrete_model)
        try:
            return self._wrapper(manager._get_from_cache(opts).pk)
        except KeyError:
            raise Unbindable from None


class _Cache(dict[str, Any]):
    """Django's cache of content types by database, another one in a thread that traces."""

    def __getitem__(self, alias: str) -> Any:
        hidden = _hidden.cache
        return super().__getitem__(alias) if hidden is None else hidden[alias]

    def get(self, alias: str, default: Any = None) -> Any:
        hidden = _hidden.cache
        return super().get(alias, default) if hidden is None else hidden.get(alias, default)

    def setdefault(self, alias: str, default: Any = None) -> Any:
        hidden = _hidden.cache
        if hidden is None:
            return super().setdefault(alias, default)
        return hidden.setdefault(alias, default)


class _Hidden(threading.local):
    cache: dict[str, Any] | None = None


_hidden = _Hidden()


@contextmanager
def unknown() -> Iterator[None]:
    """Have Django's cache of content types be empty, so that it queries for what it looks up.

    It is as ever in other threads.
    """
    models = sys.modules.get("django.contrib.contenttypes.models")
    if models is None:
        yield
        return
    found = models.ContentType.objects._cache
    if type(found) is not _Cache:
        shared = _Cache(found)
        # Managers are copies of those that the model was given, and have one cache.
        for manager in (models.ContentType.objects, *models.ContentType._meta.local_managers):
            if getattr(manager, "_cache", None) is found:
                manager._cache = shared
    before, _hidden.cache = _hidden.cache, {}
    try:
        yield
    finally:
        _hidden.cache = before


def is_generic(field: Any) -> bool:
    """Return whether a field restricts its joins by a content type, as Django's class does."""
    own: Any = type(field)
    return all(
        getattr(getattr(own, name, None), "__module__", None) == _MODULE
        for name in ("get_content_type", "get_extra_restriction")
    )


def traced(join_field: Any) -> Any:
    """Return a copy of a generic relation, or of its reverse, with a made-up content type."""
    if is_generic(join_field):
        if join_field not in _relations:
            _relations.append(join_field)
        copied = copy(join_field)
        made_up = SimpleNamespace(pk=_FIRST + _relations.index(join_field))
        copied.get_content_type = lambda: made_up
        return copied
    field = getattr(join_field, "field", None)
    if field is not None and is_generic(field):
        copied = copy(join_field)
        copied.field = traced(field)
        return copied
    return join_field


def key_of(param: Any) -> ContentTypeKey | None:
    """Return what a made-up key stands for, ``None`` for any other parameter."""
    if isinstance(param, int) and _FIRST <= param < _FIRST + len(_relations):
        return ContentTypeKey(_relations[param - _FIRST], type(param))
    return None
