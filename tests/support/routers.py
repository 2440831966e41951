"""A router of two databases that records what it is asked."""

from contextlib import contextmanager

import pytest
from django.db import router


class Router:
    """Reads from one database and writes to another, and remembers what it was asked."""

    def __init__(self, read="default", write="default"):
        self.asked = []
        self.read = read
        self.write = write

    def db_for_read(self, model, **hints):
        self.asked.append(("read", model.__name__, sorted(hints)))
        return self.read

    def db_for_write(self, model, **hints):
        self.asked.append(("write", model.__name__, sorted(hints)))
        return self.write

    def allow_relation(self, one, other, **hints):
        self.asked.append(("relation", type(one).__name__, type(other).__name__))
        return True


@contextmanager
def routed(*routers):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(router.__dict__, "routers", [*routers])
        yield
