"""How a queryset asks by a statement that is known, and how one becomes known.

The look-up of a statement and its parameters is the quick way. Where none is known Django's own
method is called, on the bridge, and its statement is learnt before.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.exceptions import (
    FieldDoesNotExist,
    MultipleObjectsReturned,
    ObjectDoesNotExist,
)
from django.db import router, transaction
from django.db.models import Model, QuerySet
from django.db.models.query import MAX_GET_RESULTS, prefetch_related_objects
from django.db.models.signals import post_init, pre_init
from django.utils.timezone import get_current_timezone_name

from turbo_orm import bridge
from turbo_orm.execution import direct, evaluation, fetching
from turbo_orm.orm.stepping import Stepping
from turbo_orm.query_cache import cache_key, tracing
from turbo_orm.query_cache.cache import Shape, shapes
from turbo_orm.query_cache.cache_key import Opaque
from turbo_orm.query_cache.compiled import Bound, Statement
from turbo_orm.query_cache.parameters import saved

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    _ModelT = TypeVar("_ModelT", bound=Model, covariant=True)
    _Row = TypeVar("_Row", covariant=True, default=_ModelT)
else:
    # Nothing looks at them: Django's classes ignore what is in their brackets.
    _ModelT = _Row = Any

_DJANGOS_TERMINALS: dict[str, Callable[..., Any]] = {
    name: vars(QuerySet)[name] for name in ("count", "delete", "exists", "first", "get", "last")
}
_DJANGOS_TERMINALS["_fetch_all"] = lambda queryset: queryset._fetch_all()
_UPDATE: Callable[..., Any] = vars(QuerySet)["update"]


class Unknown(NamedTuple):
    """A statement that is to be learnt: its key, its database, and the values for it."""

    key: Hashable
    using: str
    values: tuple[Any, ...]


def _updated(kwargs: dict[str, Any], queryset: Any, *values: Any) -> Any:
    """Call ``update()`` with other values in place of those that are no part of the structure."""
    replaced = iter(values)
    _, renewed = cache_key.map_values((), kwargs, lambda _: next(replaced))
    return _UPDATE(queryset, **renewed)


class Asking(Stepping[_ModelT, _Row]):
    """A queryset whose terminals execute statements that are known."""

    def _known(self, terminal: str, shape: Shape, given: tuple[Any, ...]) -> Bound | str | None:
        """Return the statement of a terminal of a shape, with the values as its parameters.

        If none is known, return the alias that the routers name, who are asked here. Return
        ``None`` if the queryset is not what the shape tells.
        """
        if self._iterable_class is not self._shape.iterable_class:  # type: ignore[union-attr]
            return None
        if (pre_init.receivers, post_init.receivers) != shapes.receivers:
            shapes.forget_receivers()
        using: str = self._db or (router.db_for_write if self._for_write else router.db_for_read)(
            self.model, **self._hints
        )
        statement = shape.statements.get((terminal, using, self._fetch_mode))
        if type(statement) is not Statement or (
            statement.zone is not None and statement.zone != get_current_timezone_name()
        ):
            return using
        try:
            bound = statement.bind(given)
        except Exception:
            # What Django raises, it raises where a transaction may be broken by that.
            return using
        shape.is_used = True
        if tracing.VERIFIES:
            tracing.verify(_DJANGOS_TERMINALS[terminal], bound, self._by_django_alone())
        return bound

    def _ready(self, terminal: str) -> Bound | str | None:
        """Return the same of the queryset itself, or ``None`` for Django's method."""
        shape = self._shape
        if (
            shape is None
            or self._result_cache is not None
            or terminal not in self._djangos_terminals
        ):
            return None
        return self._known(terminal, shape, self._given)

    def _first_time(self, terminal: str, using: str) -> Any:
        """Call Django's method on a copy, and learn its statement. For the bridge."""
        shape = self._shape
        assert shape is not None
        copied = self._copy(shape, self._given)
        copied._routed = using
        try:
            answer = _DJANGOS_TERMINALS[terminal](copied)
        except (ObjectDoesNotExist, MultipleObjectsReturned):
            self._learn(shape, terminal, using)
            raise
        self._learn(shape, terminal, using)
        return answer

    def _learn(self, shape: Shape, terminal: str, using: str) -> Statement | None:
        """Return a statement, which is learnt if it is not known. For the bridge.

        Meanwhile another task may have had the same queryset leave its shape.
        """
        key = (terminal, using, self._fetch_mode)
        statement = shape.statements.get(key)
        if not isinstance(statement, Statement | str) or (
            type(statement) is Statement and statement.zone is not None
        ):
            ask = _DJANGOS_TERMINALS[terminal]
            over = partial(self._over, using=using)
            of_objects = terminal not in {"count", "delete", "exists"}
            tracing.learn(shape, key, ask, self._given, over, using, (), of_objects)
            statement = shape.statements.get(key)
        return statement if type(statement) is Statement else None

    def _known_update(self, shape: Shape, kwargs: dict[str, Any]) -> Bound | Unknown | None:
        """Return the statement that writes these values, with them as its parameters.

        If none is known, return what it will be known by. Without a structure, return ``None``.
        """
        try:
            structure_, values = cache_key.of_lookups((), kwargs)
        except Opaque:
            return None
        using = self.db
        key = ("update", structure_, using)
        statement = shape.statements.get(key)
        if type(statement) is not Statement or statement.zone is not None:
            return Unknown(key, using, tuple(values))
        try:
            bound = statement.bind((*self._given, *values))
        except Exception:
            return Unknown(key, using, tuple(values))
        shape.is_used = True
        if router.routers:
            # Django asks them for the transaction, and once more for the statement.
            _ = self.db
        if tracing.VERIFIES:
            ask = partial(_updated, kwargs)
            tracing.verify(ask, bound, self._by_django_alone(), values)
        return bound

    def _update_and_learn(self, unknown: Unknown | None, kwargs: dict[str, Any]) -> int:
        """Update as Django does, and learn the statement. For the bridge."""
        shape = self._shape
        if unknown is None or shape is None:
            return self.update(**kwargs)
        key, using, values = unknown
        copied = self._copy(shape, self._given)
        copied._routed = using
        rows: int = _UPDATE(copied, **kwargs)
        self._result_cache = None
        if not isinstance(shape.statements.get(key), Statement | str):
            written = self._written(kwargs, values, using)
            over = partial(self._over, using=using)
            if written is not None:
                ask = partial(_updated, kwargs)
                tracing.learn(shape, key, ask, self._given, over, using, written, False)
        return rows

    def _written(
        self, kwargs: dict[str, Any], values: Sequence[Any], using: str
    ) -> list[tracing.Written] | None:
        """Return what is written of the values, which begin after those that were given."""
        names = cache_key.names_of_values(kwargs)
        if len(names) != len(values) or any(isinstance(each, Model) for each in values):
            return None
        try:
            fields = [self.model._meta.get_field(name) for name in names]
        except FieldDoesNotExist:
            return None
        if not all(field.concrete for field in fields):
            return None
        slots = range(len(self._given), len(self._given) + len(values))
        return [
            tracing.Written(saved(slot, field, using), value)
            for slot, field, value in zip(slots, fields, values, strict=True)
        ]

    async def _by_django(self, terminal: str, using: str | None) -> Any:
        """Call Django's method, and learn from it where a shape is known."""
        if using is None:
            return await bridge.run(getattr(self, terminal))
        return await bridge.run(self._first_time, terminal, using)

    def _fetch_and_learn(self, known: Bound | str) -> None:
        """Do what ``_fetch_all()`` does but for prefetching, and learn the statement."""
        shape = self._shape
        assert shape is not None
        using = known.statement.using if isinstance(known, Bound) else known
        evaluation.fill_cache(self, using)
        # Compiling has only read the query.
        self._shape = shape
        statement = (
            known.statement
            if isinstance(known, Bound)
            else self._learn(shape, "_fetch_all", using)
        )
        if statement is not None and self._result_cache is not None:
            statement.rows = len(self._result_cache)

    async def _end(self, terminal: str) -> Any:
        known = self._ready(terminal)
        if not isinstance(known, Bound):
            return await self._by_django(terminal, known)
        found = await self._objects(known)
        if self._prefetch_related_lookups:
            await self._prefetch(found)
        return found[0] if found else None

    async def _result(self, terminal: str, read: Callable[[Any], Any]) -> Any:
        """Return what is read from the result of a known statement, or from Django's method."""
        known = self._ready(terminal)
        if not isinstance(known, Bound):
            return await self._by_django(terminal, known)
        pgresult, _ = await direct.execute(known.statement.using, known)
        return read(pgresult)

    async def _write(self, known: Bound) -> int:
        """Execute a statement that writes, and return how many rows it has."""
        using = known.statement.using
        try:
            pgresult, _ = await direct.execute(using, known)
        except Exception:
            with transaction.mark_for_rollback_on_error(using=using):
                raise
        self._result_cache = None
        rows: int = pgresult.command_tuples
        return rows

    async def _objects(self, known: Bound) -> list[Any]:
        """Execute a statement and return the objects of its rows."""
        statement = known.statement
        found = fetching.hydrate(self, statement, *await direct.execute(statement.using, known))
        return found if isinstance(found, list) else await found

    async def _prefetch(self, found: list[Any]) -> None:
        """Fetch what is to be there with the objects."""
        await bridge.run(prefetch_related_objects, found, *self._prefetch_related_lookups)

    def _not_one(self, found: int) -> Exception:
        """Return what ``get()`` raises if it finds not one object."""
        name = self.model._meta.object_name
        if not found:
            error: Exception = self.model.DoesNotExist(f"{name} matching query does not exist.")
            return error
        number = found if found < MAX_GET_RESULTS else f"more than {MAX_GET_RESULTS - 1}"
        error = self.model.MultipleObjectsReturned(
            f"get() returned more than one {name} -- it returned {number}!"
        )
        return error
