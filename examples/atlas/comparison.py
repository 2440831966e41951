"""The strictest comparison of two answers: values, types, and all that an instance carries.

Two contenders may differ in one thing only: the class of the querysets that hold what was
prefetched.
"""

from collections.abc import Sequence
from typing import Any

from django.db.models import Model, QuerySet

# Equal values of these types have nothing else in which they could differ.
_PLAIN = frozenset({bool, bytes, int, str, type(None)})


class Comparison:
    """One walk through two answers, which may lead back to where it has been."""

    def __init__(self) -> None:
        self._visited: set[tuple[int, int]] = set()

    def difference(self, left: Any, right: Any) -> str | None:
        """Return the way to the first difference and what it is, or None if there is none."""
        if isinstance(left, QuerySet) and isinstance(right, QuerySet):
            # What a prefetch has found; an unevaluated queryset would be None on either side.
            return self.difference(left._result_cache, right._result_cache)
        if type(left) is not type(right):
            return f": {type(left).__name__} {left!r} is not {type(right).__name__} {right!r}"
        if type(left) not in _PLAIN:
            if isinstance(left, Model):
                return self._of_instances(left, right)
            if isinstance(left, dict):
                return self._of_dicts(left, right)
            if isinstance(left, (list, tuple)):
                return self._of_sequences(left, right)
        # Decimals that differ in exponent and times that differ in zone can be equal.
        same = left == right and (type(left) in _PLAIN or repr(left) == repr(right))
        return None if same else f": {left!r} is not {right!r}"

    def _of_sequences(self, left: Sequence[Any], right: Sequence[Any]) -> str | None:
        if len(left) != len(right):
            return f": {len(left)} items are not {len(right)}"
        types = list(map(type, left))
        if _PLAIN.issuperset(types) and types == list(map(type, right)) and left == right:
            return None
        for index, (mine, yours) in enumerate(zip(left, right, strict=True)):
            if (found := self.difference(mine, yours)) is not None:
                return f"[{index}]{found}"
        return None

    def _of_dicts(self, left: dict[Any, Any], right: dict[Any, Any]) -> str | None:
        if list(left) != list(right):
            return f": keys {list(left)} are not {list(right)}"
        for key, value in left.items():
            if (found := self.difference(value, right[key])) is not None:
                return f"[{key!r}]{found}"
        return None

    def _of_instances(self, left: Model, right: Model) -> str | None:
        # A city leads to its country, and the country back to its prefetched cities.
        pair = (id(left), id(right))
        if pair in self._visited:
            return None
        self._visited.add(pair)
        mine, yours = _attributes(left), _attributes(right)
        if mine.keys() != yours.keys():
            return f": attributes {sorted(mine)} are not {sorted(yours)}"
        for name, value in mine.items():
            if (found := self.difference(value, yours[name])) is not None:
                return f".{name}{found}"
        return None


def _attributes(instance: Model) -> dict[str, Any]:
    """Return all that an instance carries, what its state holds included."""
    state = instance._state
    return {
        **{name: value for name, value in vars(instance).items() if name != "_state"},
        "_state.db": state.db,
        "_state.adding": state.adding,
        "_state.fetch_mode": getattr(state, "fetch_mode", None),
        **{f"_state.fields_cache.{name}": value for name, value in state.fields_cache.items()},
    }
