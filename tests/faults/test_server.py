"""The server of the tests' own: killed, it comes back with what was committed."""

import psycopg
import pytest


def test_it_has_its_settings(server):
    with psycopg.connect(server.dsn) as connection:
        assert connection.execute("SHOW max_connections").fetchone() == ("12",)


def test_what_was_committed_outlives_a_crash(server):
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE things AS SELECT 1 AS id")
        connection.execute("BEGIN")
        connection.execute("INSERT INTO things VALUES (2)")
        server.stop("immediate")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("INSERT INTO things VALUES (3)")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.dsn)
    server.start()
    with psycopg.connect(server.dsn) as connection:
        assert connection.execute("SELECT * FROM things").fetchall() == [(1,)]
