"""The members of JSON objects that are nested in each other: ``ajson(nested=True)``.

``values("name", "country__name", "country__code")`` becomes
``{"name": …, "country": {"name": …, "code": …}}``. What is nested is what Django finds by way of a
relation; any other name with two underscores (``price__avg``, a key of JSON) stays one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model

# A name in JSON, and what is written: the value by a name of the row's; members, which may be null
# as a whole; or the JSON of related rows by a value of the row's, and whether there may be many.
type Member = tuple[str, str] | tuple[str, Members, bool] | tuple[str, str, dict[Any, str], bool]
type Members = list[Member]

#: Before the names of values that are selected only for what is nested in their rows.
HIDDEN = "turbo_orm_by_"


def members_of(model: type[Model], names: Sequence[str]) -> Members:
    """Return the members of what is selected of a model by these names.

    Raises ``ValueError`` where a name would have a value and members.
    """
    return [*_members(model, tuple(names))]


@lru_cache(maxsize=512)
def _members(model: type[Model], names: tuple[str, ...]) -> Members:
    members: Members = []
    found: dict[tuple[str, ...], Any] = {(): members}
    for name in dict.fromkeys(names):
        if name.startswith(HIDDEN):
            continue
        path: tuple[str, ...] = ()
        relations, rest = _split(model, name)
        for relation, may_be_null in relations:
            outer, path = found[path], (*path, relation)
            if path not in found:
                found[path] = []
                outer.append((relation, found[path], may_be_null))
            elif found[path] is None:
                raise _conflict("__".join(path))
        if (*path, rest) in found:
            raise _conflict(name)
        found[*path, rest] = None
        found[path].append((rest, name))
    return members


def _conflict(name: str) -> ValueError:
    return ValueError(
        f"'{name}' would be a value and an object: select '{name}_id' or '{name}__pk' beside what "
        "is nested in it."
    )


def _split(model: type[Model], name: str) -> tuple[list[tuple[str, bool]], str]:
    """Return the relations that a name follows, whether each may be null, and what is left."""
    relations: list[tuple[str, bool]] = []
    names, may_be_null = name.split("__"), False
    while len(names) > 1:
        try:
            field: Any = model._meta.get_field(names[0])
        except FieldDoesNotExist:
            break
        if not (field.is_relation and field.related_model):
            break
        # What is null stands for all that is behind it. One from the other side need not exist.
        may_be_null |= field.null if field.concrete and not field.many_to_many else True
        relations.append((names.pop(0), may_be_null))
        model = field.related_model
    return relations, "__".join(names)


def write(row: dict[str, Any], members: Members, encode: Callable[[Any], str]) -> str:
    """Return a row as an object of these members, which are those of its values."""
    return _object(row, members, encode)[0]


def _object(
    row: dict[str, Any], members: Members, encode: Callable[[Any], str]
) -> tuple[str, bool]:
    """Return an object, and whether anything in it is not null."""
    texts, has_value = [], False
    for member in members:
        if len(member) == 2:
            text = encode(row[member[1]])
        elif len(member) == 3:
            text, is_there = _object(row, member[1], encode)
            text = text if is_there or not member[2] else "null"
        else:
            _, name, by_key, many = member
            found = by_key.get(row[name])
            text = f"[{found or ''}]" if many else found or "null"
        has_value |= text != "null"
        texts.append(f"{encode(member[0])}: {text}")
    return f"{{{', '.join(texts)}}}", has_value
