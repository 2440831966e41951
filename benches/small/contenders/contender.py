"""Somebody who does the operations, on a connection of its own."""

import asyncio
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from benches.contenders import contender
from benches.shape import INSTANCES
from benches.small.models import Article, Writer
from benches.small.operation import Operation

_ARTICLE = attrgetter(*INSTANCES.names(Article))
_ARTICLE_AND_WRITER = attrgetter(
    *INSTANCES.names(Article), *(f"writer.{name}" for name in INSTANCES.names(Writer))
)


class Contender(contender.Contender):
    """One way to do them: by methods that have the names of the operations."""

    #: Makes the loop that it runs on.
    new_loop: Callable[[], asyncio.AbstractEventLoop] = staticmethod(asyncio.new_event_loop)

    def call(self, operation: Operation) -> Callable[..., Any]:
        """Return what does an operation with values."""
        return getattr(self, operation.method)

    def answer(self, operation: Operation, found: Any) -> Any:
        """Return what was found in the form in which the answers of all are compared."""
        match operation.method:
            case "get":
                return _ARTICLE(found)
            case "rows":
                return sorted(map(_ARTICLE, found))
            case "join":
                return [*map(_ARTICLE_AND_WRITER, found)]
            case "create":
                # What it has written is looked at.
                return None
            case "delete":
                return found[0] if isinstance(found, tuple) else found
        return found
