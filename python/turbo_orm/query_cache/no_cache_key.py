"""``NoCacheKey``, as SQLAlchemy calls it: what of an argument decides the SQL is not certain."""


class NoCacheKey(Exception):
    """An argument has no cache key. Says which."""
