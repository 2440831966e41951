"""A database router for replicas, and what has a reader see what it has written.

``DATABASE_ROUTERS = ["turbo_orm.routers.ReplicaRouter"]`` and ``TURBO_ORM["REPLICAS"]`` are all
that it takes; docs/replicas.md explains them.
"""

from turbo_orm.routers.middleware import ReadYourWritesMiddleware
from turbo_orm.routers.replica_router import ReplicaRouter
from turbo_orm.routers.sessions import causal_session, note_write

__all__ = ["ReadYourWritesMiddleware", "ReplicaRouter", "causal_session", "note_write"]

for _name in __all__:
    globals()[_name].__module__ = __name__
