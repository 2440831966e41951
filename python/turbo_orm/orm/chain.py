"""A queryset that is told by its shape: ``Chained``, which AsyncQuerySet derives from.

It has a shape, and the values that were given on the way to it, instead of a query of Django's.
The query is built from both when anybody asks for it: then the queryset leaves the tree of shapes,
since whoever has its query may change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.exceptions import EmptyResultSet
from django.db.models import Model, QuerySet
from django.db.models.sql import Query

from turbo_orm.backend.handler import process_connection
from turbo_orm.query_cache.cache import Shape, shapes
from turbo_orm.query_cache.parameters import plain_values, quietly

if TYPE_CHECKING:
    from typing import Self

    from typing_extensions import TypeVar

    _ModelT = TypeVar("_ModelT", bound=Model, covariant=True)
    _Row = TypeVar("_Row", covariant=True, default=_ModelT)
else:
    # Nothing looks at them: Django's classes ignore what is in their brackets.
    _ModelT = _Row = Any

# What a class must leave to Django for its querysets to be told by their shapes.
_DJANGOS = {
    name
    for name, value in vars(QuerySet).items()
    if (callable(value) or isinstance(value, property))
    and name
    not in {
        "as_manager",
        "count",
        "create",
        "delete",
        "exists",
        "first",
        "get",
        "get_or_create",
        "last",
        "update",
        "update_or_create",
    }
    and not name.startswith(("a", "bulk_"))
} | {"alias", "all", "annotate", "_annotate", "_avoid_cloning"}
_TERMINALS = {"count", "create", "delete", "exists", "first", "get", "last", "update"}
_QUERY: Any = vars(QuerySet)["query"]


class _BuiltWhenAsked:
    """The query of a queryset that has none: it is found here until it is stored."""

    def __get__(self, queryset: Any, owner: type) -> Any:
        if queryset is None:
            return self
        shape = queryset._shape
        if shape is None:
            raise AttributeError("_query")
        values = plain_values(queryset._given)
        like = queryset._over(Query(shape.model))
        # What Django has warned of, it has when the methods were called.
        with quietly():
            query = shape.take(like, values)._query
        if queryset._compiled_for is not None:
            # Compiling leaves its joins in a query, and whoever looks is to find them.
            connection = process_connection(queryset._compiled_for)
            with suppress(EmptyResultSet):
                query.get_compiler(connection=connection).as_sql()
        queryset.__dict__["_query"] = query
        return query


class Chained(QuerySet[_ModelT, _Row]):
    """A queryset that is told by its shape."""

    _query: Any = _BuiltWhenAsked()
    _shape: Shape | None = None
    _given: tuple[Any, ...] = ()
    # The database that the routers have named already, to be asked for next.
    _routed: str | None = None
    # The database that its results are from, where the query was not compiled for them.
    _compiled_for: str | None = None
    # The same queryset by Django's own methods, where what is known is verified.
    _twin: Any = None
    # Why it is told by its query, if it was told by a shape once.
    _left_for: str | None = None

    if TYPE_CHECKING:
        # Django's attributes, which the stubs leave out.
        model: Any
        _cloning_enabled: bool
        _db: str | None
        _defer_next_filter: bool
        _deferred_filter: Any
        _fetch_mode: Any
        _fields: Any
        _for_write: bool
        _hints: dict[str, Any]
        _known_related_objects: dict[Any, Any]
        _prefetch_related_lookups: tuple[Any, ...]
        _result_cache: list[Any] | None
        _sticky_filter: bool

    #: What of Django's a class overrides; whether nothing of that gets in the way; and which
    #: terminals are Django's.
    _overridden: ClassVar[frozenset[str]] = frozenset()
    _is_told_by_shape: ClassVar[bool] = True
    _djangos_terminals: ClassVar[frozenset[str]] = frozenset(_TERMINALS)

    def __init__(
        self, model: Any = None, query: Any = None, using: str | None = None, hints: Any = None
    ) -> None:
        if query is not None or model is None or not self._is_told_by_shape:
            super().__init__(model, query, using, hints)
            return
        self.model = model
        self._db = using
        self._hints = hints or {}
        self._known_related_objects: dict[Any, Any] = {}
        root = shapes.roots.get(model)
        if root is None or root.ordering is not model._meta.ordering:
            root = shapes.root(model)
        self._shape = root

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A class that derives from it may have its name.
        bases = [each for each in cls.__mro__ if each.__name__ == "AsyncQuerySet"]
        if not bases:
            return
        base = bases[-1]
        overridden = {
            name
            for name in _DJANGOS | _TERMINALS
            if getattr(cls, name, None) is not getattr(base, name, None)
        }
        cls._overridden = frozenset(overridden & _DJANGOS)
        cls._is_told_by_shape = not cls._overridden
        cls._djangos_terminals = frozenset(_TERMINALS - overridden)

    @property
    def db(self) -> str:
        """The database that the query is executed on: as the routers say, who are asked now."""
        using, self._routed = self._routed, None
        return using or super().db

    @property
    def query(self) -> Any:
        """Django's query. Whoever has it may change it, so the queryset is told by it from now."""
        query = super().query
        if self._shape is not None:
            self._shape = None
            self._left_for = "its query was asked for"
        return query

    @query.setter
    def query(self, value: Any) -> None:
        self._shape = None
        _QUERY.fset(self, value)

    def __getstate__(self) -> dict[str, Any]:
        self._leave()
        state: dict[str, Any] = super().__getstate__()
        return state

    def __deepcopy__(self, memo: Any) -> Any:
        self._leave()
        return super().__deepcopy__(memo)

    def _leave(self) -> None:
        """Have a query, and no shape."""
        _ = self.query
        self.__dict__.pop("_shape", None)
        self.__dict__.pop("_given", None)
        self.__dict__.pop("_twin", None)

    def _clone(self) -> Any:
        shape = self._shape
        if shape is None or self._iterable_class is not shape.iterable_class:
            clone = super()._clone()  # type: ignore[misc]
            clone._routed = self._routed
            clone._left_for = self._left_for
            return clone
        if "_query" not in self.__dict__ and not shape.is_sticky:
            clone = self._copy(shape, self._given)
            clone._twin = self._twin
            return clone
        clone = super()._clone()  # type: ignore[misc]
        clone._routed = self._routed
        self._shape = shape
        if not shape.is_sticky:
            clone._shape = shape
            clone._given = self._given
        return clone

    def _copy(self, shape: Shape, given: tuple[Any, ...]) -> Self:
        """Return what ``_clone()`` does, of another shape."""
        clone = object.__new__(type(self))
        clone.model = self.model
        clone._db = self._db
        clone._hints = self._hints
        clone._known_related_objects = self._known_related_objects
        clone._shape = shape
        clone._given = given
        if self._routed is not None:
            clone._routed = self._routed
        if self._for_write:
            clone._for_write = True
        if self._prefetch_related_lookups:
            clone._prefetch_related_lookups = self._prefetch_related_lookups
        if self._fetch_mode is not _DEFAULT_FETCH_MODE:
            clone._fetch_mode = self._fetch_mode
        if shape.is_of_values:
            clone._iterable_class = shape.iterable_class
            clone._fields = shape.fields
        return clone

    def _go(self, shape: Shape, given: tuple[Any, ...]) -> Self:
        """Return a queryset of another shape: a copy, or itself, where it is not to be copied."""
        if self._cloning_enabled:
            return self._copy(shape, given)
        self.__dict__.pop("_query", None)
        self._deferred_filter = None
        self._sticky_filter = False
        self._iterable_class = shape.iterable_class
        self._fields = shape.fields
        self._shape = shape
        self._given = given
        return self

    def _by_django_alone(self) -> Any:
        """Return what Django has made of the same calls, to be compared with."""
        twin = self._twin
        if twin is None and ("_query" not in self.__dict__ or self._deferred_filter is not None):
            assert self._shape is not None
            given = plain_values(self._given)
            return self._shape.take(self._over(Query(self.model)), given)
        like = self._over((self if twin is None else twin)._query.clone())
        like._iterable_class = self._iterable_class
        like._fields = self._fields
        return like

    def _twin_by(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Return what a method of Django's makes of what it has made so far."""
        twin = self._by_django_alone() if self._twin is None else self._twin
        with quietly():
            if self._sticky_filter:
                twin = twin._next_is_sticky()
            return getattr(super(Chained, twin), name)(*args, **kwargs)

    def _over(self, query: Query, using: str | None = None) -> Any:
        """Return a queryset like this one over another query, which is not told by a shape."""
        using = using or self._db
        like = type(self)(model=self.model, query=query, using=using, hints=self._hints)
        like._for_write = self._for_write
        like._fetch_mode = self._fetch_mode
        return like


def _defaults() -> dict[str, Any]:
    """Return the attributes of a new queryset of Django's that are the same for all."""
    made = object.__new__(QuerySet)
    QuerySet.__init__(made, query=Query(None))
    own = {"model", "_db", "_hints", "_known_related_objects", "_query"}
    return {name: value for name, value in vars(made).items() if name not in own}


# A queryset that is told by its shape has them from its class, until one is changed.
for _name, _default in _defaults().items():
    setattr(Chained, _name, _default)
# New in Django 6.1.
_DEFAULT_FETCH_MODE = getattr(Chained, "_fetch_mode", None)
Chained._fetch_mode = _DEFAULT_FETCH_MODE
Chained._cloning_enabled = getattr(Chained, "_cloning_enabled", True)
