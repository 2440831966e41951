"""Many tasks over a small pool, some cancelled: nothing is lost, nothing is left."""

import pytest

from tests.support.soaking import soaked


@pytest.mark.parametrize("multiplex", ["0", "2"])
def test_what_many_tasks_leave_behind(multiplex, tables):
    soaked("--multiplex", multiplex)
