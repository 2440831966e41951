"""The statements that delete instances with what depends on them, by their keys alone.

Django's ``Collector`` finds out what depends on an instance. Where it needs no row for that, since
whatever cascades is deleted at once, or is set to NULL, its statements are the same each time, but
for the keys. They are recorded once. Where it would fetch rows, call receivers or functions of a
project, or refuse, it does so each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import CASCADE, SET_NULL, Manager
from django.db.models import deletion as djangos
from django.db.models.deletion import Collector, get_candidate_relations_to_delete
from django.db.models.signals import post_delete, pre_delete

from turbo_orm import bridge
from turbo_orm.backend.handler import process_connection
from turbo_orm.query_cache import tracing, verification
from turbo_orm.query_cache.bound import BoundStatement
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.compiled import CompiledStatement, PlainBinder
from turbo_orm.query_cache.overrides import overridden
from turbo_orm.query_cache.parameters import plain_target
from turbo_orm.query_cache.recording_connection import RecordingConnection

# Django deletes so many rows by a statement.
MAX_KEYS = 100
_ONE = "IN (%s)"
# For so many lengths of lists, times the number of statements, they are kept.
_MAX_COMPILED = 20
# Those of a model, in bytes, by estimate.
_SIZE = 40_000
# The functions that need no row, and those that leave it to the database.
_AT_ONCE = {CASCADE, SET_NULL}
_SKIPPED = getattr(djangos, "SKIP_COLLECTION", {djangos.DO_NOTHING})  # since Django 6.1


class _Part(NamedTuple):
    """A statement, for one key."""

    sql: str
    #: The classes of its parameters, which are all the key.
    kinds: tuple[type, ...]
    #: That of the model whose rows are counted, or an empty string.
    label: str


class Deletion(NamedTuple):
    """A statement of a deletion, and the model whose rows it counts, or an empty string."""

    bound: BoundStatement
    label: str


class DeleteStatements:
    """How Django deletes instances of a model, or why it has to find that out each time."""

    def __init__(self, model: Any, using: str) -> None:
        self._model = model
        self._using = using
        self._parts: Sequence[_Part] = ()
        self._compiled: dict[tuple[str, int], CompiledStatement] = {}
        # Receivers have Django fetch the rows.
        self._receivers = list(pre_delete.receivers), list(post_delete.receivers)
        self.refusal = _reason_to_bypass(model)
        self._key_class = None if self.refusal else _key_class(model)
        self._max_key = _max_key(model, using) if self._key_class is int else 0

    @property
    def is_current(self) -> bool:
        """Whether the receivers of deletions are those of when it was recorded."""
        return self._receivers == (pre_delete.receivers, post_delete.receivers)

    def trace(self, instance: Any) -> None:
        """Record how Django deletes an instance, or why it has to. Runs on the bridge."""
        parts = _trace(instance, self._using)
        if isinstance(parts, str):
            self.refusal = parts
        else:
            self._parts = parts

    def takes(self, keys: Sequence[Any]) -> bool:
        """Return whether keys are such as need not be prepared."""
        if not 0 < len(keys) <= MAX_KEYS or {*map(type, keys)} != {self._key_class}:
            return False
        return self._key_class is not int or (min(keys) > 0 and max(keys) <= self._max_key)

    def bind(self, keys: Sequence[Any], instance: Any) -> list[Deletion] | None:
        """Return the statements that delete the instances with these keys, in their order.

        Return ``None`` if Django has to delete them. ``instance`` is the first of them.
        """
        # As Django's lookups do.
        keys = list(dict.fromkeys(keys))
        if not self.takes(keys):
            return None
        # The last statement is that of the instances, in which Django has them sorted.
        own = sorted(keys, reverse=True)
        last = len(self._parts) - 1
        found = [
            Deletion(self._bound(part, own if index == last else keys), part.label)
            for index, part in enumerate(self._parts)
        ]
        if verification.interval and len(keys) == 1:
            compare = partial(self._compare, found, instance)
            if not verification.agrees(self._model._meta.label, compare, self._drop):
                return None
        return found

    def _drop(self) -> None:
        self.refusal = verification.MISMATCH

    def _bound(self, part: _Part, keys: Sequence[Any]) -> BoundStatement:
        statement = self._compiled.get((part.sql, len(keys)))
        if statement is None:
            if len(self._compiled) >= _MAX_COMPILED:
                self._compiled.clear()
            listed = f"IN ({', '.join(['%s'] * len(keys))})"
            slots = range(len(part.kinds) * len(keys))
            statement = self._compiled[part.sql, len(keys)] = CompiledStatement(
                self._using,
                part.sql.replace(_ONE, listed),
                [PlainBinder(slot) for slot in slots],
                [(slot, 0) for slot in slots],
            )
        params = [key if kind is type(key) else kind(key) for kind in part.kinds for key in keys]
        return BoundStatement(statement, tuple(params))

    def _compare(self, found: Sequence[Deletion], instance: Any) -> None:
        recorder, _ = _record(instance, self._using)
        if len(recorder.recorded) != len(found):
            raise verification.CacheMismatch(f"Django executes {recorder.recorded}")
        for deletion, recorded in zip(found, recorder.recorded, strict=True):
            verification.compare(deletion.bound, [recorded], tracing.equal)


async def delete_statements(instance: Any, using: str) -> DeleteStatements | None:
    """Return the statements that delete such an instance, ``None`` if Django has to."""
    if (
        not (cache.is_enabled or cache.is_enabled_again())
        or bridge.in_calling_thread.get() is not None
    ):
        return None
    entry = cache.model(type(instance))
    found = entry.deletes.get(using)
    if found is None or not found.is_current:
        if found is None and not cache.is_seen(entry, ("delete", using)):
            return None
        found = DeleteStatements(type(instance), using)
        if not found.refusal:
            if not found.takes([instance.pk]):
                return None
            await bridge.run(found.trace, instance)
        entry.deletes[using] = found
        cache.grow(entry, _SIZE)
    return None if found.refusal else found


def _key_class(model: Any) -> type | None:
    """Return the class of keys that the key's field takes as they are."""
    for kind in (int, str, UUID):
        if plain_target(model._meta.pk, kind) is not None:
            return kind
    return None


def _max_key(model: Any, using: str) -> int:
    """Return the highest of integer keys, which may be in parameters of their size."""
    kind = model._meta.pk.get_internal_type()
    _, highest = process_connection(using).ops.integer_field_range(kind)
    return int(highest or 0)


def _reason_to_bypass(model: Any) -> str:
    """Say what Django has to find out each time. Empty if nothing."""
    meta = model._meta
    if name := overridden(model, ("_is_pk_set", "pk")):
        return f"{meta.label} overrides {name}"
    if meta.parents or meta.proxy or len(getattr(meta, "pk_fields", [meta.pk])) != 1:
        return f"{meta.label} has parents or a composite key, or is a proxy"
    if meta.pk.remote_field is not None:
        return f"the key of {meta.label} is that of another model"
    collector = Collector(using="")
    if any(hasattr(field, "bulk_related_objects") for field in meta.private_fields):
        return f"{meta.label} has generic relations"
    if pre_delete.has_listeners(model) or post_delete.has_listeners(model):
        return f"{meta.label} has receivers of deletions"
    relations: Iterable[Any] = get_candidate_relations_to_delete(meta)
    for relation in relations:
        field, related = relation.field, relation.related_model
        on_delete = field.remote_field.on_delete
        is_at_once = on_delete is SET_NULL or collector.can_fast_delete(related, field)
        if on_delete in _AT_ONCE and not is_at_once:
            return f"rows depend on those of {related._meta.label}, or it has receivers"
        if on_delete not in _AT_ONCE and on_delete not in _SKIPPED:
            return f"{field} has an on_delete of another kind"
        if type(related._meta.base_manager) is not Manager:
            return f"{related._meta.label} has a base manager of its own"
        if field.target_field is not meta.pk:
            return f"{field} refers to another field than the key"
    return ""


def _trace(instance: Any, using: str) -> Sequence[_Part] | str:
    """Return Django's statements, or say why they are not the same each time."""
    try:
        recorder, labels = _record(instance, using)
    except Exception as exc:
        return f"Django raises {type(exc).__qualname__}"
    key, recorded = instance.pk, recorder.recorded
    if len(recorded) != len(labels):
        return "rows are fetched"
    parts = []
    for (sql, params), label in zip(recorded, labels, strict=True):
        values = tuple(params or ())
        if (
            sql.count(_ONE) != len(values)
            or sql.count("%") != len(values)
            or any(value != key for value in values)
        ):
            return "a statement has other parameters than the key"
        parts.append(_Part(sql, tuple(map(type, values)), label))
    return parts


def _record(instance: Any, using: str) -> tuple[RecordingConnection, list[str]]:
    """Record how Django deletes an instance, and return the labels of what the statements count.

    There are other labels than statements where rows are fetched.
    """
    recorder = RecordingConnection.for_alias(using)
    twin = object.__new__(type(instance))
    twin.__dict__.update(instance.__dict__)
    labels: list[str] = []

    def delete() -> None:
        collector = Collector(using=using, origin=twin)
        collector.collect([twin])
        if not recorder.recorded:
            labels.extend(each.model._meta.label for each in collector.fast_deletes)
            labels.extend("" for _ in collector.field_updates)
            labels.append(twin._meta.label)
            collector.delete()

    bridge.with_stand_in(using, recorder, delete)
    return recorder, labels
