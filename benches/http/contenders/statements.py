"""The SQL of the drivers, with ``{}`` in place of parameters."""

ENTRY = "SELECT id, created, level, text, author_id FROM entry WHERE id = {}"
LIST = "SELECT id, created, level, text, author_id FROM entry WHERE id >= {} ORDER BY id LIMIT {}"
JOINED = (
    "SELECT e.id, e.created, e.level, e.text, e.author_id, a.id, a.name, a.email "
    "FROM entry e JOIN author a ON a.id = e.author_id WHERE e.id >= {} ORDER BY e.id LIMIT {}"
)
VISIT = "INSERT INTO visit (entry_id, referrer) VALUES ({}, {}) RETURNING id"
COUNT = "UPDATE counter SET visits = visits + 1 WHERE id = {}"


def with_parameters(*names: str) -> list[str]:
    """Return them all, with a driver's names of the first and the second parameter."""
    return [statement.format(*names) for statement in (ENTRY, LIST, JOINED, VISIT, COUNT)]
