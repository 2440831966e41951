"""Values of which Django makes a lookup when a method is called, with that lookup.

``Book.objects.filter(pages="7")`` prepares the value, or raises, where it is called: so does a
chain, by the class of the lookup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import models

from turbo_orm.query_cache.compiled import Unbindable


class PreparedValue(NamedTuple):
    """A value, and the lookup that Django has made of it."""

    value: Any
    lookup: Any


class LookupFactory(NamedTuple):
    """Makes the lookup of a value when the method is called, as Django does: it may raise."""

    lookup_class: type
    lhs: Any

    def __call__(self, value: Any) -> PreparedValue:
        lookup = self.lookup_class(self.lhs, value)
        if lookup.rhs is None:
            # Django compares with NULL instead, or refuses.
            raise Unbindable
        if not isinstance(value, models.Model):
            return PreparedValue(value, lookup)
        if hasattr(lookup.rhs, "resolve_expression"):
            # It is no key, and a lookup of it would be another one.
            raise Unbindable
        # The instance may have another key by the time that the query is read.
        return PreparedValue(lookup.rhs, lookup)


class DeferredValue(NamedTuple):
    """A value whose lookup Django makes when the query is read, as in a related manager."""

    value: Any
    factory: LookupFactory

    @property
    def lookup(self) -> Any:
        """The lookup that Django makes of it."""
        return self.prepared().lookup

    def prepared(self) -> PreparedValue:
        """Return the value with that lookup."""
        return self.factory(self.value)


WITH_LOOKUPS = (PreparedValue, DeferredValue)


def plain_values(values: Sequence[Any]) -> list[Any]:
    """Return values as the caller has given them."""
    return [each.value if type(each) in WITH_LOOKUPS else each for each in values]
