"""The shape of a query's results: instances, dicts, tuples, or instances with a related one."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any

from django.db.models import Manager, Model, QuerySet


@dataclass(frozen=True)
class Shape:
    """A name, the queryset that has this shape, and a reader of its results as tuples."""

    name: str
    queryset: Callable[[Manager[Any]], QuerySet[Any, Any]]
    reader: Callable[..., Callable[[Any], tuple[Any, ...]]]
    relation: str = ""
    # Whether the results are iterated over, from a cursor on the server.
    is_iterated: bool = False

    def names(self, model: type[Model]) -> list[str]:
        """Return the attributes that a result has, in the order in which they are selected."""
        names = [field.attname for field in model._meta.concrete_fields]
        if self.relation:
            related = model._meta.get_field(self.relation).related_model
            names += [
                f"{self.relation}.{field.attname}" for field in related._meta.concrete_fields
            ]
        return names

    def tuples(self, model: type[Model], results: list[Any]) -> list[tuple[Any, ...]]:
        """Return each result of a Django-like queryset as the tuple of its values."""
        return [*map(self.reader(*self.names(model)), results)]


INSTANCES = Shape("instances", lambda objects: objects.all(), attrgetter)
VALUES = Shape("values()", lambda objects: objects.values(), itemgetter)
VALUES_LIST = Shape("values_list()", lambda objects: objects.values_list(), lambda *names: tuple)
SELECT_RELATED = Shape(
    "select_related()", lambda objects: objects.select_related("owner"), attrgetter, "owner"
)
AITERATOR = Shape("aiterator()", lambda objects: objects.all(), attrgetter, is_iterated=True)
