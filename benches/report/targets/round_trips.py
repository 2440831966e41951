"""The targets of operations at some distance from the server."""

from functools import partial

from benches import names
from benches.report import round_trips
from benches.report.target import Target

# As the suite has it, whose modules need Django's settings.
_PREFETCH = "prefetch of three relations"

TARGETS = [
    Target(
        "round trips of a prefetch of three relations",
        partial(round_trips.round_trips, operation=_PREFETCH, contender=names.TURBO),
        2,
        form="{:.0f}",
    ),
]
