"""The documentation has the figures of the latest records, and the anatomy its seams."""

from dataclasses import replace

import pytest
from benches import anatomy, page, readme
from benches.latest import latest
from benches.report.run import RESULTS, Run
from benches.report.targets import TARGETS


def test_the_table_in_the_readme():
    assert readme.written() == readme.table()


def test_the_page_of_benchmarks():
    assert page.PAGE.read_text(encoding="utf-8") == page.text()


def test_the_page_has_each_target():
    """Whether it is met is what the records say."""
    for suite in ("small", "writes"):
        (run,) = Run.read(latest(suite))
        for target in TARGETS[suite]:
            what, measured, *_, met = target.cells(run)
            assert f"| {what} | {measured} |" in page.text()
            assert met


def test_a_part_of_a_run_does_not_replace_it():
    (run,) = Run.read(latest("small"))
    assert not run.is_part_of_a_record(RESULTS)
    assert replace(run, benchmarks=run.benchmarks[1:]).is_part_of_a_record(RESULTS)
    assert not replace(run, suite="another").is_part_of_a_record(RESULTS)


def test_each_seam_of_the_anatomy_exists():
    for stage, owner, name in anatomy.seams():
        assert stage in anatomy.STAGES
        assert callable(getattr(anatomy.original(owner, name), "__func__", getattr(owner, name)))


def test_a_seam_that_is_missing_is_named():
    class Renamed:
        pass

    with pytest.raises(LookupError, match=r"Renamed has no acquire of its own"):
        anatomy.original(Renamed, "acquire")
