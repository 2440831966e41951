"""The targets of each suite that has some."""

from benches.report.target import Target
from benches.report.targets import concurrent, queries, round_trips, small, writes

TARGETS: dict[str, list[Target]] = {
    "concurrent": concurrent.TARGETS,
    "queries": queries.TARGETS,
    "round_trips": round_trips.TARGETS,
    "small": small.TARGETS,
    "writes": writes.TARGETS,
}
