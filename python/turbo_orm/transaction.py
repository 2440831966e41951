"""Transactions for async code.

``async_atomic`` is django-async-backend's. Django's ``atomic`` in code on the bridge nests in it,
since both keep their state on the same connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, overload

from django.db import DEFAULT_DB_ALIAS
from django_async_backend.db.transaction import AsyncAtomic as _AsyncAtomic

from turbo_orm import bridge
from turbo_orm.connection import bridged_connection


class AsyncAtomic(_AsyncAtomic):
    """A block whose statements are committed together, or not at all."""

    @property
    def _alias(self) -> str:
        return self.using or DEFAULT_DB_ALIAS

    async def __aenter__(self) -> None:
        # Receivers of connection_created are sync code that may query: have them on the bridge.
        await bridge.run(bridged_connection(self._alias).ensure_connection)
        await super().__aenter__()

    async def __aexit__(self, *exc_info: Any) -> None:
        try:
            await super().__aexit__(*exc_info)
        finally:
            await bridge.run(bridged_connection(self._alias).discard_closed_connection)


@overload
def async_atomic[**P, R](using: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]: ...
@overload
def async_atomic(
    using: str | None = None, savepoint: bool = True, durable: bool = False
) -> AsyncAtomic: ...
def async_atomic(using: Any = None, savepoint: bool = True, durable: bool = False) -> Any:
    """Return a context manager and decorator under which statements form a transaction.

    As Django's ``atomic``, for ``async with`` and coroutine functions: within a transaction it
    makes a savepoint, unless ``savepoint=False``; with ``durable=True`` it raises ``RuntimeError``
    within a transaction. Raises ``ImproperlyConfigured`` for a database without async connection.
    """
    if callable(using):
        return AsyncAtomic(DEFAULT_DB_ALIAS, savepoint, durable)(using)
    return AsyncAtomic(using, savepoint, durable)
