"""The outcome of a look-up in the query cache: ``Hit``, ``Miss`` or ``Bypass``."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from turbo_orm.query_cache.bound import BoundStatement

#: The cached statement, bound to the values of the chain.
Hit = BoundStatement


class Miss(NamedTuple):
    """No statement is cached yet: Django compiles it on the database ``using``, and it is traced.

    ``key`` is what it will be cached by; ``values`` are those of an ``update()``.
    """

    using: str
    key: Hashable
    reason: str
    values: tuple[Any, ...] = ()


class Bypass(NamedTuple):
    """Django compiles the statement each time, for the ``reason``.

    ``using`` is the database that the routers have named, if they have been asked.
    """

    reason: str
    using: str | None = None


type Outcome = Hit | Miss | Bypass
