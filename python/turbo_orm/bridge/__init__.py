"""The bridge: sync code that awaits, in a greenlet. It knows nothing of databases.

``greenlets`` runs it, ``sync_to_async`` chooses between the bridge and a thread where Django's
async methods call sync ones, and ``signals`` awaits the async receivers of signals that sync code
sends. ``lazy_loading`` has coroutines run on the bridge. ``installation`` says whether the app is
installed, without which the bridge refuses to run. ``watchdog`` logs which code on the bridge
keeps the event loop, and ``user_code`` says which code is the site's own.
"""

from turbo_orm.bridge.checkpoints import Checkpoints, WithoutCheckpoints
from turbo_orm.bridge.greenlets import (
    Bridge,
    active,
    allowed_to_wait,
    await_,
    await_in_task,
    current,
    current_task,
    frames,
    in_calling_thread,
    is_lazy,
    may_wait,
    outermost,
    run,
    stand_in,
    with_stand_in,
)

__all__ = [
    "Bridge",
    "Checkpoints",
    "WithoutCheckpoints",
    "active",
    "allowed_to_wait",
    "await_",
    "await_in_task",
    "current",
    "current_task",
    "frames",
    "in_calling_thread",
    "is_lazy",
    "may_wait",
    "outermost",
    "run",
    "stand_in",
    "with_stand_in",
]
