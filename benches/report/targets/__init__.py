"""The targets of each suite that has some."""

from benches.report.target import Target
from benches.report.targets import queries, small, writes

TARGETS: dict[str, list[Target]] = {
    "queries": queries.TARGETS,
    "small": small.TARGETS,
    "writes": writes.TARGETS,
}
