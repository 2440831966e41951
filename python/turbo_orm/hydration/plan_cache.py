"""Plans that are cached with a statement, for its next result.

A plan says how each value is read. That depends on the types of the columns, on the loaders that
are registered on the connection, and on the parameters of its session. While these are the same,
the plan serves a result of any connection. A plan that calls a loader for each value belongs to
the connection of that loader, and is not cached.
"""

from __future__ import annotations

from typing import Any

from turbo_orm._core import Fit, Join, Plan
from turbo_orm.codecs.decoders import Decoders, adapt_context
from turbo_orm.hydration.columns import read_columns, value_readers
from turbo_orm.hydration.row_layout import Layout

# The parameters on which the text of values depends.
_SESSION_PARAMETERS = (b"DateStyle", b"IntervalStyle", b"client_encoding", b"TimeZone")


class CachedPlan:
    """A plan, with the types, the loaders by OID and the session parameters it was made for."""

    __slots__ = ("_fit", "is_native", "plan")

    def __init__(
        self, plan: Plan, types: list[int], pgconn: Any, loaders: list[tuple[int, Any]]
    ) -> None:
        self.plan = plan
        #: Whether no code but the native core's runs.
        self.is_native = plan.is_native
        session = [(name, pgconn.parameter_status(name)) for name in _SESSION_PARAMETERS]
        self._fit = Fit(types, session, loaders)

    def fits(self, context: Any, pgresult: Any) -> bool:
        """Return whether the plan can read a result that the driver's ``context`` has received."""
        # A connection has its own, without a call.
        pgconn = getattr(context, "pgconn", None) or context.connection.pgconn
        return self._fit.fits(pgconn, pgresult, context.adapters._loaders[0])

    def hydrate(self, context: Any, pgresult: Any, join: Join | None = None) -> list[Any]:
        """Hydrate a whole result that the plan fits, received by the driver's ``context``."""
        adapt_context.current = context
        try:
            return self.plan.hydrate_result(pgresult, 0, pgresult.ntuples, join)
        finally:
            adapt_context.current = None


def make_plan(
    layout: Layout, connection: Any, context: Any, pgresult: Any
) -> tuple[Plan, CachedPlan | None]:
    """Make a plan for a result, and return it once more to be cached, if it can be.

    ``connection`` is Django's, which converters get; ``context`` is the driver's.
    """
    decoders = Decoders(context, for_cache=True)
    readers = value_readers(layout.selected, decoders, pgresult)
    plan = layout.plan(read_columns(layout.selected, readers, connection))
    is_text = all(pgresult.fformat(index) == 0 for index in range(len(readers)))
    if not is_text or any(reader.reason for reader in readers):
        return plan, None
    types = [pgresult.ftype(index) for index in range(pgresult.nfields)]
    loaders = [(oid, loader) for (oid, _), loader in decoders.loaders.items()]
    return plan, CachedPlan(plan, types, context.connection.pgconn, loaders)
