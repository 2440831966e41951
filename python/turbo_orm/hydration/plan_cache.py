"""Plans that are kept for the next result of the same statement.

A plan says how each value is read, which depends on the types of the result, on the loaders that
are registered on its connection, and on what its session has set. While all that is as it was,
the plan serves again, whatever the connection. A plan that calls a loader of the driver's belongs
to its connection, and is not kept.
"""

from __future__ import annotations

from typing import Any

from turbo_orm._core import Plan
from turbo_orm.codecs.decoders import Decoders, receiving
from turbo_orm.hydration.columns import choices, described
from turbo_orm.hydration.row_layout import Layout


class KeptPlan:
    """A plan, and what it was made for."""

    __slots__ = ("_loaders", "_session", "_types", "is_native", "plan")

    def __init__(
        self, plan: Plan, types: list[int], pgconn: Any, loaders: list[tuple[int, Any]]
    ) -> None:
        self.plan = plan
        #: Whether no code but the native core's runs.
        self.is_native = plan.is_native
        # The type of each column, by OID; what the session has set; the loaders that were
        # registered for types, by OID.
        self._types = types
        self._session = [pgconn.parameter_status(name) for name in _SETTINGS]
        self._loaders = loaders

    def fits(self, connection: Any, pgresult: Any) -> bool:
        """Return whether it is the plan for a result of this connection's of the driver."""
        registered = connection.adapters._loaders[0]
        status = connection.pgconn.parameter_status
        return (
            [pgresult.ftype(index) for index in range(pgresult.nfields)] == self._types
            and [status(name) for name in _SETTINGS] == self._session
            and [registered.get(oid) for oid, _ in self._loaders]
            == [loader for _, loader in self._loaders]
        )

    def hydrate(self, context: Any, pgresult: Any) -> list[Any]:
        """Hydrate a whole result that it fits."""
        receiving.context = context
        try:
            return self.plan.hydrate_result(pgresult, 0, pgresult.ntuples)
        finally:
            receiving.context = None


# On which the text of values depends.
_SETTINGS = (b"DateStyle", b"IntervalStyle", b"client_encoding", b"TimeZone")


def make_plan(
    layout: Layout, connection: Any, context: Any, pgresult: Any
) -> tuple[Plan, KeptPlan | None]:
    """Make a plan for a result, and return it once more to be kept, if it can be.

    ``connection`` is Django's, which converters get.
    """
    decoders = Decoders(context, kept=True)
    chosen = choices(layout.selected, decoders, pgresult)
    plan = layout.plan(described(layout.selected, chosen, connection))
    is_text = all(pgresult.fformat(index) == 0 for index in range(len(chosen)))
    if not is_text or any(choice.reason for choice in chosen):
        return plan, None
    types = [pgresult.ftype(index) for index in range(pgresult.nfields)]
    loaders = [(oid, loader) for (oid, _), loader in decoders.loaders.items()]
    return plan, KeptPlan(plan, types, context.connection.pgconn, loaders)
