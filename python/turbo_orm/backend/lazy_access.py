"""Which of Django's functions query without saying so: attributes, loops, lazy objects.

They are recognised by their names in the frames of a call. The arguments there tell the model and
the attribute.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple

from turbo_orm.bridge.user_code import qualified_name

_RELATED = "django.db.models.fields.related_descriptors."
_GENERIC = "django.contrib.contenttypes.fields."
_CONTENT_TYPES = "django.contrib.contenttypes.models.ContentTypeManager."
_QUERY = "django.db.models.query."
_QUERYSETS = (f"{_QUERY}QuerySet.", f"{_QUERY}RawQuerySet.", "turbo_orm.orm.")
_TEMPLATE = "django.template.base.Template.render"
_NODE = "django.template.base.Node.render_annotated"
_AITERATOR = "`async for … in queryset.aiterator()`"


class Access(NamedTuple):
    """What was asked for and is not there, and what to write to have it there."""

    what: str
    cure: str
    #: The attribute, as ``Book.author``, if it is one that a query can load for all its instances.
    attribute: str = ""
    #: What to write in that query.
    in_query: str = ""
    #: Whether a fetch mode of Django 6.1 is about it.
    has_fetch_mode: bool = False


def recognise(frame: FrameType) -> Access | None:
    """Return what a function gives access to, if it is one of those that are known."""
    describe = _ACCESSES.get(qualified_name(frame))
    return describe and describe(**frame.f_locals) if not _is_step(frame) else None


def _is_step(frame: FrameType) -> bool:
    """Return whether a queryset is evaluated by a method of its own: by len() in ``get()``."""
    caller = frame.f_back
    return (
        caller is not None
        and qualified_name(caller).startswith(_QUERYSETS)
        # An override calls Django's method of the same name.
        and caller.f_code.co_name != frame.f_code.co_name
    )


def template(frame: FrameType) -> str | None:
    """Return the name of the template, if the function is Django's that renders one."""
    if qualified_name(frame) != _TEMPLATE:
        return None
    name = frame.f_locals["self"].name
    return repr(name) if name else "of a string"


def template_line(frame: FrameType) -> str | None:
    """Return template and line, if the function is Django's that renders a node of one."""
    if qualified_name(frame) != _NODE:
        return None
    node = frame.f_locals["self"]
    # A tag may render a node that no parser has made.
    if node.token is None:
        return None
    name = node.origin.template_name
    return f"line {node.token.lineno} of the template {repr(name) if name else 'of a string'}"


def _variable(instance: Any) -> str:
    name: str = instance._meta.model_name
    return name


def _forward(self: Any, instance: Any, **others: Any) -> Access:
    return _related(instance, self.field.name, self.field.name)


def _reverse(self: Any, instance: Any, **others: Any) -> Access:
    related = self.related
    return _related(instance, related.get_accessor_name(), related.field.related_query_name())


def _related(instance: Any, name: str, selected: str) -> Access:
    return _relation(
        instance, name, f'`select_related("{selected}")` or `prefetch_related("{name}")`'
    )


def _relation(instance: Any, name: str, in_query: str) -> Access:
    attribute = f"{type(instance).__name__}.{name}"
    return Access(
        f"{attribute} is not loaded",
        f"{in_query} in the query, "
        f'`await aprefetch_related_objects([{_variable(instance)}], "{name}")`',
        attribute,
        in_query,
        has_fetch_mode=True,
    )


def _deferred(self: Any, instance: Any, **others: Any) -> Access:
    name = self.field.attname
    attribute = f"{type(instance).__name__}.{name}"
    return Access(
        f"{attribute} is deferred",
        f'`await {_variable(instance)}.arefresh_from_db(fields=["{name}"])`, '
        "a query without defer() or only()",
        attribute,
        f'"{name}" in `only()`, or no `defer()` of it,',
        has_fetch_mode=True,
    )


def _generic(self: Any, instance: Any, **others: Any) -> Access:
    # The descriptor is the field itself in Django 5.2.
    name = getattr(self, "field", self).name
    return _relation(instance, name, f'`prefetch_related("{name}")`')


def _content_type(model: Any = None, **others: Any) -> Access:
    name = getattr(model, "__name__", type(model).__name__)
    what = "A content type" if model is None else f"The content type of {name}"
    warm = "*apps.get_models()" if model is None else name
    method = "get_for_models" if model is None else "get_for_model"
    return Access(
        f"{what} is not in Django's cache yet",
        f"`await turbo_orm.run_sync(ContentType.objects.{method}, {warm})` before",
    )


def _user(**others: Any) -> Access:
    return Access(
        "request.user is not loaded",
        "`await request.auser()`, `request.user = await request.auser()` for what reads it later",
    )


def _session(**others: Any) -> Access:
    return Access(
        "The session is not loaded",
        "`await request.session.aget(key)` and its other async methods",
    )


def _evaluation(cure: str = "") -> Callable[..., Access]:
    """Return what describes a method that evaluates a queryset, with a cure of its own."""

    def describe(self: Any, **others: Any) -> Access:
        relation = _relation_of(self)
        of = f" ({relation})" if relation else ""
        cures = [cure] if cure else []
        if hasattr(self, "alist"):
            cures.append("`await queryset.alist()`")
        cures.append("`async for`")
        in_query = ""
        if relation:
            name = relation.partition(".")[2]
            in_query = f'`prefetch_related("{name}")`'
            cures.append(f"{in_query} in the query of the instance")
        what = f"{type(self).__name__} of {self.model.__name__}{of} was evaluated by sync code"
        return Access(what, ", ".join(cures), relation or "", in_query)

    return describe


def _relation_of(queryset: Any) -> str | None:
    """Return the attribute of an instance that a queryset is of, if only one can be meant."""
    instance = getattr(queryset, "_hints", {}).get("instance")
    if instance is None:
        return None
    names = [
        relation.get_accessor_name() if relation.auto_created else relation.name
        for relation in instance._meta.get_fields(include_hidden=False)
        if (relation.one_to_many or relation.many_to_many)
        and relation.related_model is queryset.model
    ]
    known = [field.remote_field.accessor_name for field in queryset._known_related_objects]
    (name, *others) = known or names or [None]
    return None if name is None or others else f"{type(instance).__name__}.{name}"


_ACCESSES: dict[str, Callable[..., Access]] = {
    f"{_RELATED}ForwardManyToOneDescriptor.__get__": _forward,
    f"{_RELATED}ReverseOneToOneDescriptor.__get__": _reverse,
    "django.db.models.query_utils.DeferredAttribute.__get__": _deferred,
    f"{_GENERIC}GenericForeignKeyDescriptor.__get__": _generic,
    # Django 6.0 and before.
    f"{_GENERIC}GenericForeignKey.__get__": _generic,
    **{
        f"{_CONTENT_TYPES}{name}": _content_type
        for name in ("get_for_model", "get_for_models", "get_for_id", "get_by_natural_key")
    },
    "django.contrib.auth.middleware.get_user": _user,
    **{
        f"django.contrib.sessions.backends.base.SessionBase.{name}": _session
        for name in ("__contains__", "__delitem__", "__getitem__", "__setitem__")
    },
    **{
        f"{_QUERY}{of}.{name}": _evaluation(cure)
        for of in ("QuerySet", "RawQuerySet")
        for name, cure in {
            "__iter__": "",
            "__len__": "`await queryset.acount()`",
            "__bool__": "`await queryset.aexists()`",
            "__getitem__": "`await queryset.afirst()`",
            "__repr__": "",
            "__getstate__": "",
            "iterator": "",
        }.items()
    },
    f"{_QUERY}QuerySet._iterator": _evaluation(_AITERATOR),
    "turbo_orm.orm.queryset.AsyncQuerySet._iterator": _evaluation(_AITERATOR),
}
