"""The bridge: sync code that awaits, in a greenlet. It knows nothing of databases.

``greenlets`` runs it, ``sync_to_async`` chooses between the bridge and a thread for Django's own
hops, and ``signals`` awaits the async receivers of signals that sync code sends.
"""

from turbo_orm.bridge.greenlets import (
    Breath,
    Bridge,
    InOneGo,
    active,
    await_,
    frames,
    outermost,
    run,
    stand_in,
    with_stand_in,
)

__all__ = [
    "Breath",
    "Bridge",
    "InOneGo",
    "active",
    "await_",
    "frames",
    "outermost",
    "run",
    "stand_in",
    "with_stand_in",
]
