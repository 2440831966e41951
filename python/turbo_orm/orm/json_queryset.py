"""The queryset's methods that write its rows as JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from django.db.models import Model, QuerySet

from turbo_orm import bridge
from turbo_orm.execution import json_rows
from turbo_orm.orm import as_json, nested_rows
from turbo_orm.orm.json_chunks import JsonChunks
from turbo_orm.orm.sync_queryset import SyncQuerySet

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    _ModelT = TypeVar("_ModelT", bound=Model, covariant=True)
    _Row = TypeVar("_Row", covariant=True, default=_ModelT)
else:
    # Nothing looks at them: Django's classes ignore what is in their brackets.
    _ModelT = _Row = Any

type Nested = bool | Mapping[str, QuerySet[Any, Any]]


class JsonQuerySet(SyncQuerySet[_ModelT, _Row]):
    """A queryset whose rows are written as JSON, without instances, dicts or values."""

    def json(self, nested: Nested = False) -> bytes:
        """Return what ``json.dumps()`` makes of the results by Django's ``DjangoJSONEncoder``.

        The results are those of ``values()``, ``values_list()``, ``dates()`` or ``datetimes()``.
        If the queryset has them already, there is no query; otherwise it does not keep them.

        With ``nested``, ``country__name`` becomes ``name`` of an object ``country``, for which
        null stands if the relation may be null and all of its values are. By names of relations,
        ``nested`` gives querysets of ``values()``, whose rows become objects in an array, or an
        object, in each row; names like ``"cities__districts"`` go further. Each is a query.

        Raises ``TypeError`` for instances, for what the encoder refuses, and for ``nested`` rows
        without names; ``ValueError`` for what cannot be nested.
        """
        json_rows.refuse_instances(self, nested)
        if isinstance(nested, Mapping):
            return nested_rows.json(self, nested)
        return as_json.array(self, as_json.fetch(self), nested)

    json.queryset_only = True  # type: ignore[attr-defined]

    async def ajson(self, nested: Nested = False) -> bytes:
        """Return the results as JSON: what ``json.dumps()`` makes by ``DjangoJSONEncoder``.

        They are those of ``values()`` or ``values_list()``: instances raise ``TypeError``.
        ``nested`` makes objects of relations, as ``json()`` says.
        """
        if isinstance(nested, Mapping):
            return await bridge.run(self.json, nested)
        return await as_json.ajson(self, nested)

    ajson.queryset_only = True  # type: ignore[attr-defined]

    async def ajson_chunks(
        self, chunk_size: int = 2000, nested: Nested = False
    ) -> AsyncIterator[bytes]:
        """Yield what ``ajson()`` returns in parts of ``chunk_size`` rows, as they are received.

        The rows stay in a cursor on the server, as those of ``aiterator()`` do. Only what was
        yielded up to the end is JSON: what raises before leaves the array open.
        """
        chunks = JsonChunks(self, chunk_size, nested)
        try:
            while chunk := await chunks.fetch():
                yield chunk
        finally:
            await chunks.close()

    ajson_chunks.queryset_only = True  # type: ignore[attr-defined]
