"""Saves instances of plain models by statements that were learnt, without a query of Django's.

A model is plain if nothing of its own would run or be told: no method that ``save()`` calls is
overridden, nobody receives its signals, it has no parents, and its fields are saved as they are
or by Django's own code. Everything else is saved by Django, on the bridge.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from inspect import getattr_static
from typing import Any

from django.db import DatabaseError, models, router, transaction
from django.db.models import Manager, Model
from django.db.models.signals import post_init, post_save, pre_init, pre_save

from turbo_orm import bridge
from turbo_orm.execution import direct
from turbo_orm.query_cache import parameters, tracing
from turbo_orm.query_cache.cache import shapes
from turbo_orm.query_cache.compiled import Bound, Saved, Statement, Unchanged
from turbo_orm.query_cache.recording_connection import RecordingConnection

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
_PRE_SAVES = {
    models.Field.pre_save,
    models.DateField.pre_save,
    models.DateTimeField.pre_save,
    models.TimeField.pre_save,
}
_COLLECTIONS = {frozenset, list, set, tuple}
_KEYS = {models.AutoField, models.BigAutoField, models.SmallAutoField}


# How an instance is saved: by an insert, or an update of all fields, or of those of such names.
type Kind = str | frozenset[str]

INSERT = "insert"
INSERT_WITH_KEY = "insert with a key"
UPDATE = "update"

# How many ways of saving a model are kept: there is one for each set of fields.
MAX_KINDS = 100


class Save:
    """A statement that saves instances of a model, and the fields that are its parameters."""

    def __init__(self, kind: Kind, statement: Statement, fields: Sequence[Any]) -> None:
        self._kind = kind
        self._statement = statement
        self._is_insert = _is_insert(kind)
        self._parts = [_part(slot, field, statement.using) for slot, field in enumerate(fields)]

    @property
    def size(self) -> int:
        """How many bytes it takes, by estimate."""
        return self._statement.size + 400 * len(self._parts)

    def bind(self, instance: Model) -> Bound | None:
        """Return the statement for an instance, or ``None`` if it is to have an expression."""
        params: list[Any] = []
        for attname, pre_save_, takes_none, saved in self._parts:
            value = (
                getattr(instance, attname)
                if pre_save_ is None
                else pre_save_(instance, self._is_insert)
            )
            if value is None and takes_none:
                params.append(None)
            elif type(value) is saved.own:
                params.append(value if saved.wrapper is None else saved.wrapper(value))
            elif hasattr(value, "resolve_expression"):
                return None
            else:
                params.append(saved.param(value))
        bound = Bound(self._statement, tuple(params))
        if tracing.VERIFIES:
            _verify(self._kind, bound, instance)
        return bound


def _part(slot: int, field: Any, using: str) -> tuple[str, Any, bool, Saved]:
    """Return a field's attribute, what sees to it before, if anything does, and its parameter."""
    saved = parameters.saved(slot, field, using)
    # Nothing is set to the present moment.
    is_plain = not (getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False))
    return field.attname, None if is_plain else field.pre_save, saved.own is not None, saved


class Saves:
    """The ways of saving a plain model that are known. Texts say why there is none."""

    def __init__(self) -> None:
        #: By kind, and by the alias of the database.
        self.known: dict[tuple[Kind, str], Save | str] = {}

    @property
    def size(self) -> int:
        """How many bytes they take, by estimate."""
        return sum(getattr(each, "size", 100) for each in self.known.values())

    async def bind(self, kind: Kind, instance: Model, using: str) -> Bound | None:
        """Return the statement for an instance, or ``None`` if Django has to save it."""
        found = self.known.get((kind, using))
        if found is None:
            if len(self.known) >= MAX_KINDS:
                self.known.clear()
            found = self.known[kind, using] = await bridge.run(_learn, kind, instance, using)
        return found.bind(instance) if isinstance(found, Save) else None


def saves_of(model: Any, kwargs: dict[str, Any]) -> Saves | None:
    """Return how instances of a plain model are saved, or ``None`` for any other model.

    ``kwargs`` are what an instance is to be made of. What is no field may be a property, which may
    do anything.
    """
    if _is_heard(model) or not kwargs.keys() <= model._meta._forward_fields_map.keys():
        return None
    root = shapes.root(model)
    found = root.statements.get("save")
    if found is None:
        found = _oddity(model) or Saves()
        shapes.learnt(root, "save", found)
    return found if type(found) is Saves else None


async def insert(saves: Saves, instance: Any, using: str) -> None:
    """Do what ``save(force_insert=True)`` does with an instance of a plain model."""
    instance._prepare_related_fields_for_save(operation_name="save")
    try:
        await _insert(saves, instance, using)
    except Exception:
        with transaction.mark_for_rollback_on_error(using=using):
            raise


async def save(
    instance: Any, *, using: str | None = None, update_fields: Any = None, **options: Any
) -> None:
    """Do what ``instance.save()`` does, with its options."""
    using = using or router.db_for_write(type(instance), instance=instance)
    kind = None if any(options.values()) else _kind(instance, update_fields)
    saves = None if kind is None else saves_of(type(instance), {})
    if kind is None or saves is None:
        await bridge.run(instance.save, using=using, update_fields=update_fields, **options)
    elif _is_insert(kind):
        await insert(saves, instance, using)
    else:
        instance._prepare_related_fields_for_save(operation_name="save")
        try:
            await _update(saves, kind, instance, using)
        except Exception:
            with transaction.mark_for_rollback_on_error(using=using):
                raise


def _kind(instance: Any, update_fields: Any) -> Kind | None:
    """Return how an instance is saved, or ``None`` if there is more to it."""
    attributes, meta, key = instance.__dict__, instance._meta, instance.pk
    is_new = key is None
    if instance._state.adding is not is_new:
        return None
    if update_fields is None:
        if not all(field.attname in attributes for field in meta.concrete_fields):
            return None
        return INSERT if is_new else UPDATE
    if is_new or type(update_fields) not in _COLLECTIONS:
        return None
    fields = meta._forward_fields_map
    names = meta._non_pk_concrete_field_names
    for name in update_fields:
        if type(name) is not str or name not in names or fields[name].attname not in attributes:
            return None
    return frozenset(update_fields) or None


async def _insert(saves: Saves, instance: Any, using: str) -> None:
    meta = instance._meta
    key, attname = meta.pk, meta.pk.attname
    if getattr(instance, attname) is None and (key is not meta.auto_field or key.has_default()):
        setattr(instance, attname, key.get_pk_value_on_save(instance))
    kind = INSERT if getattr(instance, attname) is None else INSERT_WITH_KEY
    bound = await saves.bind(kind, instance, using)
    if bound is None:
        await bridge.run(instance.save, force_insert=True, using=using)
        return
    pgresult, _ = await direct.execute(using, bound)
    if pgresult.ntuples:
        setattr(instance, attname, int(pgresult.get_value(0, 0)))
    instance._state.db = using
    instance._state.adding = False


async def _update(saves: Saves, kind: Kind, instance: Any, using: str) -> None:
    bound = await saves.bind(kind, instance, using)
    if bound is None:
        await bridge.run(instance.save, **_options(kind), using=using)
        return
    pgresult, _ = await direct.execute(using, bound)
    if not pgresult.command_tuples:
        # Somebody has deleted it.
        if kind is not UPDATE:
            error = getattr(instance, "NotUpdated", DatabaseError)  # since Django 6.0
            raise error("Save with update_fields did not affect any rows.")
        await _insert(saves, instance, using)
    instance._state.db = using


def _is_insert(kind: Kind) -> bool:
    return kind is INSERT or kind is INSERT_WITH_KEY


def _options(kind: Kind) -> dict[str, Any]:
    """Return what has Django's ``save()`` do what a kind stands for."""
    if _is_insert(kind):
        return {"force_insert": True}
    return {} if kind is UPDATE else {"update_fields": kind}


def _is_heard(model: type[Model]) -> bool:
    """Return whether somebody is told that instances are made or saved."""
    return bool(
        (pre_init.receivers and pre_init.has_listeners(model))
        or (post_init.receivers and post_init.has_listeners(model))
        or (pre_save.receivers and pre_save.has_listeners(model))
        or (post_save.receivers and post_save.has_listeners(model))
    )


def _learn(kind: Kind, instance: Model, using: str) -> Save | str:
    """Learn how Django saves such an instance, or say why it has to. For the bridge."""
    recorder = RecordingConnection.for_alias(using)
    twin = _twin(instance)
    try:
        with suppress(DatabaseError):  # No row was updated.
            bridge.with_stand_in(using, recorder, twin.save, using=using, **_options(kind))
    except Exception as exc:
        return repr(exc)
    if not recorder.recorded:
        return "nothing is executed"
    # An update that meets no row is followed by an insert.
    sql, params = recorder.recorded[0]
    fields = _fields_of(kind, instance._meta)
    slots = range(len(fields))
    parts = [Unchanged(slot) for slot in slots]
    try:
        statement = Statement(using, sql, parts, [(slot, 0) for slot in slots])
    except ValueError:
        return "a field is not saved as one parameter"
    learnt = Save(kind, statement, fields)
    bound = learnt.bind(twin)
    if bound is None or not sql.startswith("INSERT" if _is_insert(kind) else "UPDATE"):
        return "an expression is saved"
    if [type(param) for param in bound.params] != [type(param) for param in params]:
        return "a field is not saved as one parameter"
    return learnt


def _verify(kind: Kind, bound: Bound, instance: Model) -> None:
    """Raise ``Misunderstanding`` if Django would save an instance by something else."""
    using = bound.statement.using
    recorder = RecordingConnection.for_alias(using)
    save = _twin(instance).save
    with suppress(DatabaseError):  # No row was updated.
        bridge.with_stand_in(using, recorder, save, using=using, **_options(kind))
    sql, params = recorder.recorded[0]
    # What is set to the present moment is not the same again.
    same = [
        tracing.equal(ours, theirs) or isinstance(theirs, datetime.date | datetime.time)
        for ours, theirs in zip(bound.params, params, strict=True)
    ]
    if sql != bound.sql or not all(same):
        raise tracing.Misunderstanding(f"{bound.sql} was learnt, where Django executes {sql}")


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


def _oddity(model: type[Model]) -> str:
    """Say what keeps a model from being plain. Empty if nothing does."""
    meta: Any = model._meta
    for name, method in _DJANGOS.items():
        if getattr_static(model, name) is not method:
            return f"{meta.label} overrides {name}()"
    if super(Model, model).__init__ is not object.__init__:
        return f"a mixin of {meta.label} has an __init__() of its own"
    if meta.parents or meta.proxy or meta.order_with_respect_to or meta.private_fields:
        return f"{meta.label} has parents, is a proxy, is ordered, or has generic relations"
    if meta.select_on_save:
        return f"{meta.label} looks for its row before it updates it"
    if type(meta.base_manager) is not Manager:
        return f"{meta.label} has a base manager of its own"
    if len(getattr(meta, "pk_fields", [meta.pk])) != 1:
        return f"{meta.label} has a composite key"
    for field in meta.local_concrete_fields:
        if type(field).pre_save not in _PRE_SAVES:
            return f"{field} has a pre_save() of its own"
        if field.generated or field.has_db_default():
            return f"the database gives {field} a value"
    if any(type(field) not in _KEYS for field in meta.db_returning_fields):
        return f"{meta.label} gets more than its key back"
    return ""
