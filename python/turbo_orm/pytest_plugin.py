"""A pytest plugin: async tests are in the transaction of pytest-django, and rolled back with it.

A test that pytest-django gives a database, by ``@pytest.mark.django_db`` or its ``db`` fixture,
shares the connection of its transaction with the async code that it runs. Transactional tests
(``transaction=True``, ``transactional_db``, ``live_server``) commit, so their async code has
connections of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

_TRANSACTIONAL = {
    "transactional_db",
    "live_server",
    "django_db_reset_sequences",
    "django_db_serialized_rollback",
}


@pytest.fixture(autouse=True)
def _turbo_orm_shared_connections(request: pytest.FixtureRequest) -> Iterator[None]:
    if not _is_in_a_transaction(request):
        yield
        return
    from turbo_orm.backend.shared_connection import shared_connections
    from turbo_orm.bridge import installation

    if not installation.is_installed:
        yield
        return
    with shared_connections():
        yield


def _is_in_a_transaction(request: pytest.FixtureRequest) -> bool:
    if not request.config.pluginmanager.has_plugin("django"):
        return False
    fixtures = set(request.fixturenames)
    mark = request.node.get_closest_marker("django_db")
    if mark is None:
        return "db" in fixtures and not fixtures & _TRANSACTIONAL
    is_transactional = mark.args[:1] == (True,) or any(
        mark.kwargs.get(name) for name in ("transaction", "reset_sequences", "serialized_rollback")
    )
    return not is_transactional and not fixtures & _TRANSACTIONAL
