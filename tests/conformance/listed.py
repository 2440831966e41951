"""The tests that fail, each with the fact about it that it fails by.

What fails and is not listed fails the run, and so does what is listed and passes.
"""

from typing import NamedTuple

DRIVEN = frozenset({"hot", "loop"})
BRIDGE = frozenset({"bridge"})


class Listed(NamedTuple):
    test: str
    reason: str
    modes: frozenset[str] = DRIVEN | BRIDGE
    #: The Djangos that have the test, by their versions.
    djangos: frozenset[tuple[int, int]] = frozenset({(5, 2), (6, 0), (6, 1)})


TESTS = [
    Listed(
        "basic.tests.ManagerTest.test_manager_methods",
        "lists the public methods of a queryset, and ours has one more: alist()",
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
        "contenttypes_tests.test_models.ContentTypesTests.test_get_for_models_creation",
        "counts the queries for content types, which were fetched on the bridge together with "
        "instances of a model that has a generic relation",
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
        modes=BRIDGE,
    ),
    Listed(
        "handlers.tests.TransactionsPerRequestTests.test_auto_transaction_async_view",
        "expects ATOMIC_REQUESTS to be refused for an async view, which turbo-orm supports",
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
