"""A queryset that holds a ``CachedChain`` in place of Django's query.

Its methods that return another queryset extend the chain. Django's query is built from the chain
when it is asked for; from then on the queryset has no chain, since the caller may change the
query. Django's own methods, which only read it, run on a copy without a chain. AsyncQuerySet
derives from this class, and adds the terminals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import Model, QuerySet
from django.db.models.sql import Query

from turbo_orm import conf
from turbo_orm.orm.lazy_query import LazyQuery
from turbo_orm.query_cache import cache_key, overrides
from turbo_orm.query_cache.cache import cache
from turbo_orm.query_cache.cached_chain import CachedChain
from turbo_orm.query_cache.chain import NewStep, extend, may_prefetch, record, replay
from turbo_orm.query_cache.current_zone import with_zone
from turbo_orm.query_cache.limit_offset import of_slice
from turbo_orm.query_cache.outcome import Bypass
from turbo_orm.query_cache.parameters import without_warnings
from turbo_orm.query_cache.prefetch_filters import PrefetchQuerySet
from turbo_orm.query_cache.step import KeyOf

if TYPE_CHECKING:
    from typing import Self

    from typing_extensions import TypeVar

    _ModelT = TypeVar("_ModelT", bound=Model, covariant=True)
    _Row = TypeVar("_Row", covariant=True, default=_ModelT)
else:
    # Nothing looks at them: Django's classes ignore what is in their brackets.
    _ModelT = _Row = Any

_QUERY: Any = vars(QuerySet)["query"]
_CLASS: Any = vars(object)["__class__"]
_MADE_OF_A_QUERY = "it was made of a query"


class CachedQuerySet(PrefetchQuerySet[_ModelT, _Row]):
    """A queryset of Django's whose methods are looked up in the query cache."""

    _query: Any = LazyQuery()
    #: What stands for the query, or ``None``, and then why.
    _cached: CachedChain | None = None
    _bypass_reason: str = _MADE_OF_A_QUERY
    # The database that the routers have named already, to be asked for next.
    _routed: str | None = None
    # The database that its results are from, where the query was not compiled for them.
    _compiled_for: str | None = None
    # The same queryset by Django's own methods, where statements are verified.
    _twin: Any = None

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
        _prefetch_done: bool
        _prefetch_related_objects: Any
        _prefetch_related_lookups: tuple[Any, ...]
        _result_cache: list[Any] | None
        _sticky_filter: bool

    #: Which of Django's methods a class overrides that decide the SQL; without any, its querysets
    #: are cached, and so are the statements of those terminals that it does not override.
    _overridden: ClassVar[frozenset[str]] = frozenset()
    _cacheable_terminals: ClassVar[frozenset[str]] = overrides.TERMINALS

    def __init__(
        self, model: Any = None, query: Any = None, using: str | None = None, hints: Any = None
    ) -> None:
        if (
            query is not None
            or model is None
            or self._overridden
            or not (cache.is_enabled or cache.is_enabled_again())
        ):
            super().__init__(model, query, using, hints)
            if self._overridden:
                names = ", ".join(sorted(self._overridden))
                self._bypass_reason = f"{type(self).__qualname__} overrides {names}"
            return
        self.model = model
        self._db = using
        self._hints = hints or {}
        self._known_related_objects: dict[Any, Any] = {}
        entry = cache.models.get(model)
        if entry is None or entry.ordering != model._meta.ordering:
            entry = cache.model(model)
        self._cached = CachedChain((entry, ()))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        overrides.add(cls)

    if not TYPE_CHECKING:

        @property
        def __class__(self) -> type:
            return type(self)

        @__class__.setter
        def __class__(self, queryset_class: type) -> None:
            # What the other class overrides decides the SQL, and it may be no class of ours.
            self._leave("it was given another class")
            self.__dict__ = {name: getattr(self, name) for name in DEFAULTS} | self.__dict__
            _CLASS.__set__(self, queryset_class)

    @property
    def _is_sliced(self) -> bool:
        """Whether the last call of its chain was a slice."""
        values = self._cached[1] if self._cached is not None else ()
        return bool(values) and type(values[-1]) is slice

    @property
    def db(self) -> str:
        """The database that the query is executed on: as the routers say, who are asked now."""
        using, self._routed = self._routed, None
        return using or self._db or super().db

    @property
    def query(self) -> Any:
        """Django's query. The caller may change it, so it stands for itself from now on."""
        if self._cached is None and self._deferred_filter is None and not self._overridden:
            # What Django's property returns, which is read again and again.
            return self._query
        query = super().query
        if self._cached is not None:
            self._leave("its query was asked for")
        return query

    @query.setter
    def query(self, value: Any) -> None:
        self._cached = None
        self._bypass_reason = _MADE_OF_A_QUERY
        _QUERY.fset(self, value)

    def __getstate__(self) -> dict[str, Any]:
        self._leave("it was pickled or copied")
        state: dict[str, Any] = super().__getstate__()
        return state

    def __deepcopy__(self, memo: Any) -> Any:
        self._leave("it was pickled or copied")
        return super().__deepcopy__(memo)

    def _leave(self, reason: str) -> None:
        """Have a query, and no chain."""
        if self._cached is not None:
            _QUERY.fget(self)
            self._bypass_reason = reason
        self.__dict__.pop("_cached", None)
        self.__dict__.pop("_twin", None)

    def _clone(self) -> Any:
        chain = self._cached
        if chain is not None and self._iterable_class is chain[0].iterable_class:
            if not (chain[0].is_sticky or self._sticky_filter):
                clone = self._copy(chain)
                clone._twin = self._twin
                return clone
            # Whether the clone's next filter shares joins is a matter of its query.
            return self._without_chain("the next filter shares its joins")._clone()
        clone = super()._clone()  # type: ignore[misc]
        if type(clone) is QuerySet:
            # Django makes one of the class that this one passes for.
            _CLASS.__set__(clone, type(self))
        clone._routed = self._routed
        clone._bypass_reason = self._bypass_reason
        return clone

    def _copy(self, chain: CachedChain) -> Self:
        """Return what ``_clone()`` does, of another chain."""
        clone = object.__new__(type(self))
        clone.model = self.model
        clone._db = self._db
        clone._hints = self._hints
        clone._known_related_objects = self._known_related_objects
        clone._cached = chain
        if self._routed is not None:
            clone._routed = self._routed
        if self._for_write:
            clone._for_write = True
        if self._prefetch_related_lookups:
            clone._prefetch_related_lookups = self._prefetch_related_lookups
        if self._fetch_mode is not DEFAULT_FETCH_MODE:
            clone._fetch_mode = self._fetch_mode
        entry = chain[0]
        if entry.is_of_values:
            clone._iterable_class = entry.iterable_class
            clone._fields = entry.fields
        return clone

    def _without_chain(self, reason: str) -> Self:
        """Return a copy over the same query, for methods of Django's that only read it."""
        assert self._cached is not None
        copied = self._copy(self._cached)
        copied._query = _QUERY.fget(self)
        copied._cached = None
        copied._bypass_reason = reason
        copied._iterable_class = self._iterable_class
        copied._fields = self._fields
        copied._sticky_filter = self._sticky_filter
        copied._defer_next_filter = self._defer_next_filter
        return copied

    def _move(self, chain: CachedChain) -> Self:
        """Take over another chain, where cloning is switched off."""
        self.__dict__.pop("_query", None)
        self._deferred_filter = None
        self._sticky_filter = False
        self._iterable_class = chain[0].iterable_class
        self._fields = chain[0].fields
        self._cached = chain
        return self

    def _over(self, query: Query, using: str | None = None) -> Any:
        """Return a queryset like this one over another query, which has no chain."""
        using = using or self._db
        like = type(self)(model=self.model, query=query, using=using, hints=self._hints)
        like._for_write = self._for_write
        like._fetch_mode = self._fetch_mode
        return like

    # The methods that return another queryset

    def _step(
        self,
        name: str,
        key_of: KeyOf,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        step: tuple[CachedChain, Sequence[Any]] | None = None,
    ) -> Self:
        """Call a method that returns another queryset, by the query cache if it was recorded.

        ``step`` are the chain that it is a step from, and the arguments that are recorded, where
        these are others than the queryset's and Django's.
        """
        chain = self._cached
        if chain is None:
            made: Self = getattr(super(), name)(*args, **kwargs)
            return made
        if self._iterable_class is not chain[0].iterable_class:
            why = f"its iterable class is {self._iterable_class.__qualname__}"
            return self._by_django(name, args, kwargs, why)
        is_deferred = self._defer_next_filter
        chain, given = (chain, args) if step is None else step
        extended = extend(chain, name, key_of, given, kwargs, self._sticky_filter, is_deferred)
        if type(extended) is CachedChain:
            twin = self._twin_by(name, args, kwargs) if conf.VERIFIES else None
            if is_deferred:
                self._defer_next_filter = False
            led = self._copy(extended) if self._cloning_enabled else self._move(extended)
            if twin is not None:
                led._twin = twin
            return led
        if type(extended) is Bypass:
            return self._by_django(name, args, kwargs, extended.reason)
        assert type(extended) is NewStep
        if not cache.is_seen(chain[0], extended.key):
            return self._by_django(name, args, kwargs, f"{name}() is called so for the first time")
        made = self._by_django(name, args, kwargs, _MADE_OF_A_QUERY)
        if type(made) is type(self):
            recorded = record(chain, extended, self._over, made, is_deferred)
            if isinstance(recorded, CachedChain):
                made._cached = recorded
            else:
                made._bypass_reason = recorded.reason
        return made

    def _by_django(self, name: str, args: Sequence[Any], kwargs: dict[str, Any], why: str) -> Self:
        """Call Django's method, whose result has a query, and no chain."""
        caller = self
        if self._cloning_enabled:
            caller = self._without_chain(why)
        else:
            self._leave(why)
        made: Self = getattr(super(CachedQuerySet, caller), name)(*args, **kwargs)
        if self._defer_next_filter:
            self._defer_next_filter = caller._defer_next_filter
        return made

    def _twin_by(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Return what a method of Django's makes of the queryset that Django has made so far."""
        twin = self._by_django_alone(self._cached) if self._twin is None else self._twin
        with without_warnings():
            if self._sticky_filter:
                twin = twin._next_is_sticky()
            return getattr(super(CachedQuerySet, twin), name)(*args, **kwargs)

    def _by_django_alone(self, chain: CachedChain | None) -> Any:
        """Return what Django makes of the calls of a chain, its own or an extension, to verify."""
        twin = self._twin
        if chain is not None and chain is not self._cached:
            return replay(chain, self._over(Query(self.model)))
        if twin is None and ("_query" not in self.__dict__ or self._deferred_filter is not None):
            assert self._cached is not None
            return replay(self._cached, self._over(Query(self.model)))
        like = self._over((self if twin is None else twin)._query.clone())
        like._iterable_class = self._iterable_class
        like._fields = self._fields
        return like

    def filter(self, *args: Any, **kwargs: Any) -> Self:
        return self._step("filter", cache_key.of_lookups, args, kwargs)

    def exclude(self, *args: Any, **kwargs: Any) -> Self:
        return self._step("exclude", cache_key.of_lookups, args, kwargs)

    def order_by(self, *field_names: Any) -> Self:
        return self._step("order_by", cache_key.of_names, field_names, {})

    def select_for_update(self, *args: Any, **kwargs: Any) -> Self:
        made = self._step("select_for_update", cache_key.of_names, args, kwargs)
        made._for_write = True
        return made

    def reverse(self) -> Self:
        return self._step("reverse", cache_key.of_names, (), {})

    def distinct(self, *field_names: Any) -> Self:
        return self._step("distinct", cache_key.of_names, field_names, {})

    def only(self, *fields: Any) -> Self:
        return self._step("only", cache_key.of_names, fields, {})

    def defer(self, *fields: Any) -> Self:
        return self._step("defer", cache_key.of_names, fields, {})

    def select_related(self, *fields: Any) -> Self:
        return self._step("select_related", cache_key.of_names, fields, {})

    def annotate(self, *args: Any, **kwargs: Any) -> Self:
        return self._step("annotate", cache_key.of_names, args, kwargs)

    def alias(self, *args: Any, **kwargs: Any) -> Self:
        return self._step("alias", cache_key.of_names, args, kwargs)

    def prefetch_related(self, *lookups: Any) -> Self:
        if self._cached is None or not may_prefetch(self._cached, lookups):
            return super().prefetch_related(*lookups)
        clone: Self = self._chain()  # type: ignore[attr-defined]
        clone._prefetch_related_lookups += lookups
        return clone

    if not TYPE_CHECKING:
        # Django's stubs know more of these.

        def dates(self, *args: Any, **kwargs: Any) -> Any:
            return self._step("dates", cache_key.of_names, args, kwargs)

        def datetimes(self, *args: Any, **kwargs: Any) -> Any:
            return self._step("datetimes", cache_key.of_names, *with_zone(args, kwargs))

        def values(self, *fields: Any, **expressions: Any) -> Any:
            return self._step("values", cache_key.of_names, fields, expressions)

        def values_list(self, *fields: Any, **options: Any) -> Any:
            return self._step("values_list", cache_key.of_names, fields, options)

        def __getitem__(self, k: Any) -> Any:
            if type(k) is not slice or self._result_cache is not None or k.step:
                return super().__getitem__(k)
            chain = self._cached
            if chain is not None and chain[1] and type(chain[1][-1]) is slice:
                return self._by_django("__getitem__", (k,), {}, "a slice is sliced")
            return self._step("__getitem__", of_slice, (k,), {})


def _defaults() -> dict[str, Any]:
    """Return the attributes of a new queryset of Django's that are the same for all."""
    made = object.__new__(QuerySet)
    QuerySet.__init__(made, query=Query(None))
    own = {"model", "_db", "_hints", "_known_related_objects", "_query"}
    return {name: value for name, value in vars(made).items() if name not in own}


# A queryset with a chain has them from its class, until one is changed.
DEFAULTS = _defaults()
for _name, _default in DEFAULTS.items():
    setattr(CachedQuerySet, _name, _default)
# New in Django 6.1.
DEFAULT_FETCH_MODE = getattr(CachedQuerySet, "_fetch_mode", None)
CachedQuerySet._fetch_mode = DEFAULT_FETCH_MODE
CachedQuerySet._cloning_enabled = getattr(CachedQuerySet, "_cloning_enabled", True)
