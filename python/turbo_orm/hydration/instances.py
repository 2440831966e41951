"""How a model instance is made of a row, as a description for the native core.

The core fills an instance directly where that cannot be observed: where no code of the model's own
would run, and no attribute would differ. Everywhere else it calls ``from_db()``, as Django does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import django
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.db.models.base import ModelState
from django.db.models.fields.files import FileDescriptor, ImageFileDescriptor
from django.db.models.fields.mixins import FieldCacheMixin
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.signals import post_init, pre_init

from turbo_orm._core import Instance, watch_class
from turbo_orm.bridge.replaced_methods import is_own, modifications

HAS_FETCH_MODES = django.VERSION >= (6, 1)

if HAS_FETCH_MODES:
    from django.db.models.query import _get_from_db  # type: ignore[attr-defined]

type _Fields = tuple[tuple[str, int], ...]
type _Related = tuple[tuple[Instance, Any, Any], ...]

# Django's setter of the remote side of a foreign key does nothing. Only its code identifies it.
_NO_OP = (lambda x, y: None).__code__

# Descriptors that store a new instance's value in its __dict__ and do nothing else.
_STORING_DESCRIPTORS = {ForeignKeyDeferredAttribute, FileDescriptor, ImageFileDescriptor}


def instance(
    compiler: Any,
    klass_info: dict[str, Any],
    *,
    fetch_mode: Any,
    annotations: dict[str, int] | None = None,
) -> Instance:
    """Describe the instances of a compiled query, with those of its ``select_related()``.

    ``klass_info`` and, for the query's own model, ``annotations`` are the compiler's. The
    compiler's query has been executed.
    """
    model = klass_info["model"]
    fields = _fields(klass_info, compiler.select)
    is_related = "from_parent" in klass_info
    return _instance(
        model,
        fields,
        compiler.using,
        fetch_mode,
        gets_lists=lambda: _slices_lists(compiler, klass_info),
        pk=dict(fields)[model._meta.pk_fields[0].attname] if is_related else None,
        related=tuple(
            (
                instance(compiler, related, fetch_mode=fetch_mode),
                _setter(related["local_setter"]),
                _setter(related["remote_setter"]),
            )
            for related in klass_info.get("related_klass_infos", ())
        ),
        annotations=tuple((annotations or {}).items()),
    )


def raw_instance(queryset: Any) -> Instance:
    """Describe the instances of an executed raw query.

    Raises ``FieldDoesNotExist`` if it does not select the primary key.
    """
    model = queryset.model
    names, columns, annotations = queryset.resolve_model_init_order()
    # Until 6.0, Django wants the name of a composite key itself.
    keys = model._meta.pk_fields if django.VERSION >= (6, 0) else [model._meta.pk]
    if any(key.attname not in names for key in keys):
        raise FieldDoesNotExist("Raw query must include the primary key")
    return _instance(
        model,
        tuple(zip(names, columns, strict=True)),
        queryset.db,
        getattr(queryset, "_fetch_mode", None),
        gets_lists=lambda: True,
        annotations=tuple(annotations),
    )


def _instance(
    model: type[Model],
    fields: _Fields,
    using: str,
    fetch_mode: Any,
    *,
    gets_lists: Callable[[], bool],
    pk: int | None = None,
    related: _Related = (),
    annotations: _Fields = (),
) -> Instance:
    names = tuple([name for name, _ in fields])
    peers: list[Any] | None = [] if HAS_FETCH_MODES and fetch_mode.track_peers else None
    # Annotations are set as attributes, too, and a property might have the name of one.
    if fills_directly(model, names + tuple([name for name, _ in annotations])):
        if peers is None and all(_is_name(s) for _, *both in related for s in both):
            return _shared_direct(model, fields, using, fetch_mode, pk, related, annotations)
        return _direct(model, fields, using, fetch_mode, pk, related, annotations, peers)
    return Instance(
        model,
        fields,
        state_class=ModelState,
        state=[],
        from_db=_from_db(model, fetch_mode),
        db=using,
        values_as_list=gets_lists(),
        pk=pk,
        related=related,
        annotations=annotations,
        peers=peers,
    )


def _direct(
    model: type[Model],
    fields: _Fields,
    using: str,
    fetch_mode: Any,
    pk: int | None,
    related: _Related,
    annotations: _Fields,
    peers: list[Any] | None = None,
) -> Instance:
    """Describe instances that are filled directly."""
    return Instance(
        model,
        fields,
        state_class=ModelState,
        state=_state(using, fetch_mode),
        through_dict=_needs_dict(model, tuple([name for name, _ in fields])),
        pk=pk,
        related=related,
        annotations=annotations,
        peers=peers,
    )


# Queries that fill the same attributes of a model share one description.
_shared_direct = lru_cache(maxsize=1000)(_direct)


def _is_name(setter: Any) -> bool:
    """Return whether a setter is a name or ``None``, which are equal in the next query."""
    return setter is None or isinstance(setter, str)


def fills_directly(model: type[Model], attnames: Sequence[str]) -> bool:
    """Return whether instances may be filled without ``from_db()`` and ``__init__()``."""
    return not reasons_for_from_db(model, attnames)


def reasons_for_from_db(model: type[Model], attnames: Sequence[str]) -> list[str]:
    """Return why instances cannot be filled without ``from_db()``: what the model does."""
    reasons = []
    from_db: Any = model.from_db
    if from_db.__func__ is not Model.from_db.__func__ or not is_own(from_db.__func__):  # type: ignore[attr-defined]
        reasons.append("overrides from_db()")
    if (
        model.__init__ is not Model.__init__
        or not is_own(Model.__init__)
        or _init_behind_model(model)
    ):
        reasons.append("overrides __init__()")
    if model.__new__ is not object.__new__:
        reasons.append("overrides __new__()")
    if model.__setattr__ is not object.__setattr__:
        reasons.append("overrides __setattr__()")
    if pre_init.has_listeners(model) or post_init.has_listeners(model):
        reasons.append("has receivers of pre_init or post_init")
    own, _ = _descriptors(model, tuple(attnames), modifications.count)
    reasons += [f"has a descriptor of its own for {attname!r}" for attname in own]
    return reasons


def _init_behind_model(model: type[Model]) -> bool:
    """Return whether ``Model.__init__()``'s call to ``super()`` reaches a mixin's."""
    return super(Model, model).__init__ is not object.__init__


@lru_cache(maxsize=1000)
def _descriptors(
    model: type[Model], attnames: tuple[str, ...], modified: int
) -> tuple[list[str], bool]:
    """Return the names with descriptors of the model's own, and whether any has one of Django's.

    Those of Django's store a value in ``__dict__``, and do nothing else. ``modified`` is how often
    a watched class was, of which the model is one from now on.
    """
    watch_class(model)
    kinds = {
        name: type(inspect.getattr_static(model, name, None)) for name in (*attnames, "_state")
    }
    stores = {name for name, kind in kinds.items() if kind in _STORING_DESCRIPTORS}
    own = [name for name, kind in kinds.items() if hasattr(kind, "__set__") and name not in stores]
    return own, bool(stores)


def _needs_dict(model: type[Model], attnames: tuple[str, ...]) -> bool:
    """Return whether a field has a descriptor that stores values in ``__dict__``."""
    return _descriptors(model, attnames, modifications.count)[1]


def _fields(klass_info: dict[str, Any], select: Sequence[Any]) -> _Fields:
    """Pair each selected field's attribute name with its column, in the model's field order."""
    columns = {
        # Each expression that is selected for instances is one column, with the same index.
        select[index][0].target.attname: index
        for index in klass_info["select_fields"]
    }
    return tuple(
        [
            (field.attname, columns[field.attname])
            for field in klass_info["model"]._meta.concrete_fields
            if field.attname in columns
        ]
    )


def _slices_lists(compiler: Any, klass_info: dict[str, Any]) -> bool:
    """Return whether ``from_db()`` gets its values as a list, else as a tuple.

    Django makes lists of rows to run converters on them, and passes slices on; but it picks the
    values of a child instance one by one from those of its parent.
    """
    if klass_info.get("from_parent"):
        return False
    return bool(compiler.get_converters([expression for expression, _, _ in compiler.select]))


def _state(db: str, fetch_mode: Any) -> list[tuple[str, Any]]:
    state: list[tuple[str, Any]] = [("adding", False), ("db", db)]
    if HAS_FETCH_MODES:
        state.append(("fetch_mode", fetch_mode))
    return state


def _from_db(model: type[Model], fetch_mode: Any) -> Any:
    return _get_from_db(model, fetch_mode) if HAS_FETCH_MODES else model.from_db


def attnames(klass_info: dict[str, Any], select: Sequence[Any]) -> list[str]:
    """Return the names of the attributes that are selected, in the model's field order."""
    return [name for name, _ in _fields(klass_info, select)]


def cache_name(setter: Any) -> str | None:
    """Return the name under which a setter of Django's caches an instance, or ``None``."""
    if getattr(setter, "__func__", None) is FieldCacheMixin.set_cached_value:
        name: str = setter.__self__.cache_name
        return name
    return None


def _setter(setter: Any) -> Any:
    """Return a setter as the core takes it: a cache's name, ``None`` for no-op, or a function."""
    if name := cache_name(setter):
        return name
    code = getattr(setter, "__code__", None)
    if code and (code.co_code, code.co_consts) == (_NO_OP.co_code, _NO_OP.co_consts):
        return None
    return setter
