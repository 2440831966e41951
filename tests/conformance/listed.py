"""The tests that fail, each with the fact about it that it fails by.

What fails and is not listed fails the run, and so does what is listed and passes.
"""

from typing import NamedTuple

DRIVEN = frozenset({"hot", "loop"})
BRIDGE = frozenset({"bridge"})
REQUESTS = frozenset({"requests", "requests-bridge"})
REQUESTS_BRIDGE = frozenset({"requests-bridge"})


class Listed(NamedTuple):
    test: str
    reason: str
    modes: frozenset[str] = DRIVEN | BRIDGE
    #: The Djangos that have the test, by their versions.
    djangos: frozenset[tuple[int, int]] = frozenset({(5, 2), (6, 0), (6, 1)})


TESTS = [
    Listed(
        "gis_tests.geoapp.tests.SaveLoadTests.test_geometrycollectionfield_default_max_ignored_"
        "on_read",
        "counts how often a geometry is read, and each result is hydrated twice",
        modes=frozenset({"hot"}),
    ),
    Listed(
        "basic.tests.ManagerTest.test_manager_methods",
        "lists the public methods of a queryset, and an AsyncQuerySet has more, such as alist()",
        modes=DRIVEN,
    ),
    Listed(
        "queries.test_iterator.QuerySetIteratorTests.test_default_iterator_chunk_size",
        "mocks cursor_iter(), by which Django's compiler makes tuples of rows",
    ),
    Listed(
        "queries.test_iterator.QuerySetIteratorTests.test_iterator_chunk_size",
        "mocks cursor_iter(), by which Django's compiler makes tuples of rows",
    ),
    Listed(
        "queries.test_sqlcompiler.SQLCompilerTest.test_repr",
        "compares the repr() of a connection, which on the bridge is a BridgedDatabaseWrapper",
        modes=BRIDGE,
    ),
    Listed(
        "async.tests.DatabaseConnectionTest.test_get_async_connection",
        "expects SynchronousOnlyOperation of a connection whose cursor() its test case has "
        "replaced, which is the bridged one: it says that no database is allowed",
        modes=BRIDGE | REQUESTS_BRIDGE,
    ),
    Listed(
        "handlers.tests.TransactionsPerRequestTests.test_auto_transaction_async_view",
        "expects ATOMIC_REQUESTS to be refused for an async view, which turbo-orm supports",
        modes=DRIVEN | BRIDGE | REQUESTS,
    ),
    *(
        Listed(
            f"asgi.tests.ASGITest.{test}",
            "has a view answer at once, and expects what comes after its request to be received "
            "before: turbo-orm listens for that once a request has taken 25 ms",
            modes=REQUESTS,
        )
        for test in ("test_disconnect_with_body", "test_assert_in_listen_for_disconnect")
    ),
    Listed(
        "asgi.tests.ASGITest.test_read_body_thread",
        "expects a body to be written to a temporary file, and turbo-orm makes none for a small "
        "one that comes at once",
        modes=REQUESTS,
        djangos=frozenset({(6, 0), (6, 1)}),
    ),
    Listed(
        "asgi.tests.ASGITest.test_delayed_disconnect_with_body",
        "has a view sleep in a thread, and it is on the bridge",
        modes=REQUESTS_BRIDGE,
    ),
    Listed(
        "asgi.tests.ASGITest.test_concurrent_async_uses_multiple_thread_pools",
        "has two views wait for each other in threads, and they are on the bridge",
        modes=REQUESTS_BRIDGE,
    ),
    Listed(
        "handlers.tests.AsyncHandlerRequestTests.test_sync_streaming",
        "expects a warning that sync content is read whole, and on the bridge it is streamed",
        modes=REQUESTS_BRIDGE,
    ),
    *(
        Listed(
            f"servers.{test}",
            "gives its connection to a thread, and that on the bridge is of the event loop",
            modes=REQUESTS_BRIDGE,
        )
        for test in (
            "tests.LiveServerTestCloseConnectionTest.test_closes_connections",
            "test_liveserverthread.LiveServerThreadTest.test_closes_connections",
        )
    ),
    *(
        Listed(
            f"middleware_exceptions.tests.{test}",
            "compares what the handler of the sync test client logs that it adapts, which is an "
            "async one here",
            modes=REQUESTS,
        )
        for test in (
            "MiddlewareNotUsedTests.test_log",
            "MiddlewareNotUsedTests.test_log_custom_message",
            "MiddlewareSyncAsyncTests.test_async_middleware",
        )
    ),
    *(
        Listed(
            test,
            "expects a deprecated call of save() to be the test's own, and it is that of what "
            "drives asave()",
            modes=DRIVEN,
            djangos=frozenset({(5, 2)}),
        )
        for test in (
            "basic.tests.ModelInstanceCreationTests.test_save_deprecation",
            "update_only_fields.tests.UpdateOnlyFieldsTests.test_empty_update_fields_"
            "positional_save",
        )
    ),
]


def listed(mode: str, version: tuple[int, int]) -> dict[str, str]:
    """Return the reasons of the tests that fail in a mode, by their ids."""
    return {
        entry.test: entry.reason
        for entry in TESTS
        if mode in entry.modes and version in entry.djangos
    }
