"""The statements that save the instances of a plain model.

A model is plain if saving runs no code of its own but receivers of signals: no method that
``save()`` calls is overridden, and its fields are saved as they are or by Django's own code. The
tables of its parents have statements of their own. All other models are saved by Django.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from copy import copy
from functools import partial
from inspect import getattr_static
from typing import Any

from django.db.models import Manager, Model

from turbo_orm import bridge
from turbo_orm.bridge.replaced_methods import is_own
from turbo_orm.bridge.user_code import LIBRARIES
from turbo_orm.codecs.fields import AUTO_FIELDS, pre_saves_attribute
from turbo_orm.query_cache import tracing, verification
from turbo_orm.query_cache.bound import BoundStatement
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.cache_entry import ModelEntry
from turbo_orm.query_cache.compiled import (
    CompiledStatement,
    FieldBinder,
    PlainBinder,
)
from turbo_orm.query_cache.parameters import field_binder
from turbo_orm.query_cache.recording_connection import RecordingConnection
from turbo_orm.query_cache.save_signals import SaveSignals

# The methods that making and saving an instance calls.
_METHODS = [
    "__init__",
    "__new__",
    "__setattr__",
    "_assign_returned_values",
    "_do_insert",
    "_get_pk_val",
    "_is_pk_set",
    "_prepare_related_fields_for_save",
    "_save_parents",
    "_save_table",
    "_set_pk_val",
    "pk",
    "save",
    "save_base",
]
_DJANGOS = {name: getattr_static(Model, name) for name in _METHODS if hasattr(Model, name)}

# How a row is saved: by an insert, or an update of all fields, or of those of such names.
type Kind = str | frozenset[str]
# The model of a table, how a row of it is saved, and the alias of its database.
type Key = tuple[Any, Kind, str]

INSERT = "insert"
INSERT_WITH_KEY = "insert with a key"
UPDATE = "update"

# How many kinds of a model are cached: there is one for each set of fields.
MAX_KINDS = 100
# The size of a reason, in bytes, by estimate.
_REASON_SIZE = 100


class SaveStatement:
    """An INSERT or UPDATE of a table, and what binds the fields that are its parameters."""

    def __init__(self, key: Key, statement: CompiledStatement, fields: Sequence[Any]) -> None:
        self._key = key
        self._statement = statement
        self._is_insert = is_insert(key[1])
        self._binders = [
            _binder(slot, field, statement.using) for slot, field in enumerate(fields)
        ]

    @property
    def size(self) -> int:
        """Its size in bytes, by estimate."""
        return self._statement.size + 400 * len(self._binders)

    def bind(self, instance: Model) -> BoundStatement | None:
        """Return the statement for an instance, or ``None`` if Django has to save it.

        That is, if an expression is to be saved, or what is not loaded.
        """
        params: list[Any] = []
        attributes = instance.__dict__
        for attname, pre_save_, takes_none, binder in self._binders:
            if attname not in attributes:
                return None
            value = (
                getattr(instance, attname)
                if pre_save_ is None
                else pre_save_(instance, self._is_insert)
            )
            if value is None and takes_none:
                params.append(None)
            elif type(value) is binder.own:
                params.append(value if binder.wrapper is None else binder.wrapper(value))
            elif hasattr(value, "resolve_expression"):
                return None
            else:
                params.append(binder.param(value))
        return BoundStatement(self._statement, tuple(params))

    def compare(self, bound: BoundStatement, instance: Model) -> None:
        """Raise ``CacheMismatch`` unless Django would save an instance by this statement."""
        recorder = _record(self._key, _twin(instance))
        verification.compare(bound, recorder.recorded[:1], _is_same)


def _has_default_of_its_own(field: Any) -> bool:
    """Return whether a field's default is a function that is none of Django or of Python."""
    default = field.default
    # Without one, that is a class.
    if (
        not field.has_default()
        or not callable(default)
        or getattr(default, "__module__", None) == "builtins"
    ):
        return False
    code = getattr(default, "__code__", None)
    return code is None or not code.co_filename.startswith(LIBRARIES)


def _binder(slot: int, field: Any, using: str) -> tuple[str, Any, bool, FieldBinder]:
    """Return a field's attribute, its ``pre_save()`` if that does anything, and what binds it."""
    binder = field_binder(slot, field, using)
    is_plain = not (getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False))
    return field.attname, None if is_plain else field.pre_save, binder.own is not None, binder


class SaveStatements:
    """The statements that save instances of a plain model, by kind, or why there is none."""

    def __init__(self, entry: ModelEntry) -> None:
        self._entry = entry
        meta: Any = entry.model._meta  # type: ignore[attr-defined]
        self.signals = SaveSignals(entry.model)
        #: Whether to make an instance calls code of a project, which may query.
        self.calls_code = any(map(_has_default_of_its_own, meta.concrete_fields))
        #: What an instance has in its ``__dict__``, if no field is deferred.
        self.attnames = frozenset([field.attname for field in meta.concrete_fields])
        self._statements: dict[Key, SaveStatement] = {}
        self._refusals: dict[Key, str] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._statements) + len(self._refusals)

    async def bind(
        self, table: type[Model], kind: Kind, instance: Model, using: str
    ) -> BoundStatement | None:
        """Return the statement for an instance, or ``None`` if Django has to save it."""
        key = table, kind, using
        statement = self._statements.get(key)
        if statement is None:
            if key in self._refusals or not cache.is_seen(self._entry, ("save", key)):
                return None
            await bridge.run(self._trace, key, instance)
            statement = self._statements.get(key)
        bound = None if statement is None else statement.bind(instance)
        if bound is not None and verification.interval:
            assert statement is not None
            compare = partial(statement.compare, bound, instance)
            if not verification.agrees(instance._meta.label, compare, partial(self._drop, key)):
                return None
        return bound

    def clear(self) -> None:
        """Drop all statements."""
        self._statements.clear()
        self._refusals.clear()
        self._grow(-self._size)

    def _drop(self, key: Key) -> None:
        """Drop the statement that there may be."""
        statement = self._statements.pop(key, None)
        if statement is not None:
            self._grow(-statement.size)

    def _trace(self, key: Key, instance: Model) -> None:
        """Cache how Django saves such an instance, or why it has to. Runs on the bridge."""
        if len(self) >= MAX_KINDS:
            self.clear()
        traced = _trace(key, instance)
        if isinstance(traced, str):
            self._refusals[key] = traced
            self._grow(_REASON_SIZE)
        else:
            self._statements[key] = traced
            self._grow(traced.size)

    def _grow(self, size: int) -> None:
        self._size += size
        # An entry that was evicted meanwhile takes no memory of the cache's.
        if self._entry.saves is self:
            cache.grow(self._entry, size)


def save_statements(model: Any, kwargs: dict[str, Any]) -> SaveStatements | None:
    """Return the statements that save instances of a plain model, ``None`` for any other model.

    ``kwargs`` are what an instance is to be made of. What is no field may be a property, which may
    do anything.
    """
    if (
        not (cache.is_enabled or cache.is_enabled_again())
        or not kwargs.keys() <= model._meta._forward_fields_map.keys()
    ):
        return None
    entry = cache.model(model)
    if entry.save_refusal is None:
        entry.save_refusal = _reason_to_bypass(model)
        entry.saves = None if entry.save_refusal else SaveStatements(entry)
    return entry.saves


def _trace(key: Key, instance: Model) -> SaveStatement | str:
    """Return how Django saves such an instance, or say why it has to each time."""
    table, kind, using = key
    twin = _twin(instance)
    try:
        recorder = _record(key, twin)
    except Exception as exc:
        return f"Django raises {type(exc).__qualname__}"
    if not recorder.recorded:
        return "Django executes nothing"
    # An update that meets no row is followed by an insert.
    sql, params = recorder.recorded[0]
    fields = _fields_of(kind, table._meta)
    slots = range(len(fields))
    binders = [PlainBinder(slot) for slot in slots]
    try:
        statement = CompiledStatement(using, sql, binders, [(slot, 0) for slot in slots])
    except ValueError:
        return "a field is not saved as one parameter"
    traced = SaveStatement(key, statement, fields)
    bound = traced.bind(twin)
    if bound is None or not sql.startswith("INSERT" if is_insert(kind) else "UPDATE"):
        return "an expression is saved"
    if [type(param) for param in bound.params] != [type(param) for param in params]:
        return "a field is not saved as one parameter"
    return traced


def _record(key: Key, instance: Any) -> RecordingConnection:
    """Return a connection that has recorded how Django saves an instance."""
    table, kind, using = key
    recorder = RecordingConnection.for_alias(using)
    options = {
        "cls": table,
        "using": using,
        "force_insert": is_insert(kind),
        "update_fields": kind if isinstance(kind, frozenset) else None,
    }
    try:
        bridge.with_stand_in(using, recorder, instance._save_table, **options)
    except Exception:
        # No row was updated, or no key came back, which Django before 6.0 does not expect.
        if not recorder.recorded:
            raise
    return recorder


def _is_same(ours: Any, djangos: Any) -> bool:
    # What is set to the present moment is another one each time.
    return tracing.equal(ours, djangos) or isinstance(djangos, datetime.date | datetime.time)


def is_insert(kind: Kind) -> bool:
    return kind is INSERT or kind is INSERT_WITH_KEY


def _fields_of(kind: Kind, meta: Any) -> list[Any]:
    """Return the fields whose values are the parameters of a statement, in their order."""
    if kind is INSERT:
        return [field for field in meta.local_concrete_fields if field is not meta.auto_field]
    if kind is INSERT_WITH_KEY:
        return list(meta.local_concrete_fields)
    others = [field for field in meta.local_concrete_fields if not field.primary_key]
    if kind is not UPDATE:
        others = [each for each in others if each.name in kind or each.attname in kind]
    return [*others, meta.pk]


def _twin(instance: Model) -> Any:
    """Return another instance with the same attributes, to be saved in its stead."""
    twin = object.__new__(type(instance))
    twin.__dict__.update(instance.__dict__, _state=copy(instance._state))
    if cached := instance._state.__dict__.get("fields_cache"):
        twin._state.fields_cache = dict(cached)
    return twin


def _reason_to_bypass(model: type[Model]) -> str:
    """Say what keeps a model from being plain. Empty if nothing does."""
    meta: Any = model._meta
    for name, method in _DJANGOS.items():
        if getattr_static(model, name) is not method or not is_own(method):
            return f"{meta.label} overrides {name}()"
    if super(Model, model).__init__ is not object.__init__:
        return f"a mixin of {meta.label} has an __init__() of its own"
    tables = list(_tables(model))
    if meta.proxy or any(None in each._meta.parents.values() for each in tables):
        return f"{meta.label} is a proxy, or a child of one"
    if meta.select_on_save:
        return f"{meta.label} looks for its row before it updates it"
    return next(filter(None, map(_reason_to_bypass_table, tables)), "")


def _tables(model: Any) -> Iterator[Any]:
    """Yield the models whose tables an instance has a row in."""
    for parent in model._meta.parents:
        yield from _tables(parent)
    yield model


# The modules of Django's fields that have one placeholder for all values, with a cast, say.
_PLACEHOLDERS = {
    "django.contrib.postgres.fields.array",
    "django.contrib.postgres.fields.ranges",
    "django.db.models.fields",
}


def _writes_sql_by_value(field: Any) -> bool:
    """Return whether a field may write other SQL for other values, as a geometry's does.

    Before 6.1 Django calls ``get_placeholder()``, and later that of other packages.
    """
    methods = [getattr(field, name, None) for name in ("get_placeholder", "get_placeholder_sql")]
    return any(each and each.__module__ not in _PLACEHOLDERS for each in methods)


def _reason_to_bypass_table(model: Any) -> str:
    """Say what Django has to save the row of a table for. Empty if nothing."""
    meta: Any = model._meta
    if meta.order_with_respect_to or meta.private_fields:
        return f"{meta.label} is ordered, or has generic relations"
    if type(meta.base_manager) is not Manager:
        return f"{meta.label} has a base manager of its own"
    if len(getattr(meta, "pk_fields", [meta.pk])) != 1:
        return f"{meta.label} has a composite key"
    for field in meta.local_concrete_fields:
        if not pre_saves_attribute(field):
            return f"{field} has a pre_save() of its own"
        if _writes_sql_by_value(field):
            return f"{field} has other SQL for other values"
        if field.generated or field.has_db_default():
            return f"the database gives {field} a value"
    if any(type(field) not in AUTO_FIELDS for field in meta.db_returning_fields):
        return f"{meta.label} gets more than its key back"
    return ""
