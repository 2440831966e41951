"""A contender with a method for each small operation."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from benches.harness import contender
from benches.lists.shape import INSTANCES
from benches.small.models import Article, Writer
from benches.small.operation import Operation

_ARTICLE = attrgetter(*INSTANCES.names(Article))
_ARTICLE_AND_WRITER = attrgetter(
    *INSTANCES.names(Article), *(f"writer.{name}" for name in INSTANCES.names(Writer))
)


class Contender(contender.Contender):
    """An ORM: its methods have the names of the operations."""

    def call(self, operation: Operation) -> Callable[..., Any]:
        """Return the function that does an operation with values. The contender is connected."""
        return getattr(self, operation.method)

    def answer(self, operation: Operation, found: Any) -> Any:
        """Return a call's result in the form in which those of all contenders are compared."""
        match operation.method:
            case "get":
                return _ARTICLE(found)
            case "rows" | "ten":
                return sorted(map(_ARTICLE, found))
            case "join":
                return [*map(_ARTICLE_AND_WRITER, found)]
            case "create":
                # The table is compared.
                return None
            case "delete":
                return found[0] if isinstance(found, tuple) else found
        return found
