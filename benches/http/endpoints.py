"""The endpoints of the contenders, which get the key of an entry."""

import random

ENTRIES = 10_000
AUTHORS = 300
# How many entries a list has, and how many queries are independent of each other.
LENGTH = 100
QUERIES = 8

# Of bare applications only: each library's shortest way from its rows to JSON.
JSON, JOINED_JSON = AS_JSON = "json", "joined_json"
# Of sync views only.
SERIALIZED, SLOW = OF_SYNC_VIEWS = "serialized", "slow"
# Of turbo-orm behind the bare application only: what there is to compare with is the same for all.
NO_QUERY = "no_query"
WRITE = "write"
# Seconds that PostgreSQL waits: so many connections have so few responses that all clients wait.
DELAY = 0.1

ENDPOINTS = {
    "get": "an entry by its primary key",
    "list": f"{LENGTH} entries",
    "joined": f"{LENGTH} entries with their authors, by a join",
    "eight": "eight entries, with eight queries: concurrent ones, if that is possible",
    JSON: f"{LENGTH} entries, as JSON, in the way that the library provides",
    JOINED_JSON: f"{LENGTH} entries with their authors, in the same way",
    WRITE: "a transaction that inserts a visit and adds to a counter",
    NO_QUERY: "the same response as get, without a query",
    SERIALIZED: f"{LENGTH} entries, with a list view of Django REST framework, which is sync",
    SLOW: f"an entry, and a statement that takes {DELAY * 1000:.0f} ms",
}


def any_key() -> int:
    """Return the key of any entry."""
    return random.randint(1, ENTRIES)


def first_of_list(key: int) -> int:
    """Return the key of an entry that so many others follow."""
    return key % (ENTRIES - LENGTH) + 1


def keys_of_eight(key: int) -> list[int]:
    """Return eight keys, far from each other."""
    return [(key + step * 1_237) % ENTRIES + 1 for step in range(QUERIES)]
