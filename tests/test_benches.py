"""The documentation has the latest records, and the benchmarks measure what they say."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import django
import psycopg
import pytest
from benches import anatomy, names, page, readme
from benches.concurrent import section as concurrent
from benches.http import check, configuration, schema, section
from benches.http.contenders import CONTENDERS, contender
from benches.http.endpoints import AS_JSON, ENDPOINTS, NO_QUERY, SERIALIZED
from benches.http.plan import HANDLERS, Plan, Session
from benches.http.result import Result
from benches.http.serve import APPLICATIONS
from benches.http.server import server
from benches.http.targets import HANDLER_TARGETS
from benches.http.targets import TARGETS as HTTP_TARGETS
from benches.latest import latest
from benches.report.run import RESULTS, Run
from benches.report.targets import TARGETS
from benches.round_trips import far
from benches.round_trips import section as round_trips
from django.conf import settings
from psycopg import sql
from psycopg.conninfo import make_conninfo


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


def _run(suite: str, *benchmarks: dict[str, Any]) -> Run:
    """Return a run with figures of its own for each benchmark."""
    figures = {
        "min": 0.02,
        "psycopg": 0.1,
        "calls": 5,
        "statements": 1_000,
        "cpu": 2e-5,
        "psycopg_cpu": 5e-5,
        "p99_without": 0.04,
        "p99_with": 0.05,
    }
    return Run(suite, "2026-01-01", {}, {}, [{**figures, **each} for each in benchmarks])


def test_the_section_of_many_tasks():
    contenders = (names.PSYCOPG, names.TURBO_ALONE, names.TURBO_MULTIPLEX)
    measured = [("statements", "asyncio"), ("statements", "uvloop"), ("waits", "uvloop")]
    run = _run(
        concurrent.SUITE,
        *(
            {"measured": what, "loop": loop, "contender": each}
            for what, loop in measured
            for each in contenders
        ),
    )
    text = "\n\n".join(concurrent.section(run, "plots"))
    assert "not measured" not in text
    assert "| turbo-orm, MULTIPLEX 2 | 50,000 | 5.00 | 20.0 | 0.40 |" in text
    assert "| psycopg | 40.0 | 50.0 | 1.25 |" in text


def test_the_section_of_round_trips():
    run = _run(
        round_trips.SUITE,
        *(
            {
                "measured": "distant calls",
                "operation": "prefetch of three relations",
                "round_trip": distance,
                "contender": each,
                # Where there is no way to go, the first answers come before the rest is sent.
                "round_trips": 2 if distance else 4,
            }
            for distance in far.ROUND_TRIPS
            for each in (names.PSYCOPG, names.TURBO)
        ),
    )
    text = "\n\n".join(round_trips.section(run, "plots"))
    assert "not measured" not in text
    assert "| turbo-orm | 2 | 4.00 · 0.20 × | 4.00 · 0.20 × | 4.00 · 0.20 × |" in text


def test_the_page_has_a_section_for_each_record(monkeypatch: pytest.MonkeyPatch):
    """A suite that was not recorded yet has none."""
    runs: dict[str, Run | None] = {
        concurrent.SUITE: _run(concurrent.SUITE),
        round_trips.SUITE: None,
    }
    monkeypatch.setattr(page, "recorded", runs.__getitem__)
    text = page.text()
    assert "## Many tasks, few connections" in text
    assert "## A distant server" not in text


def test_the_proxy_of_the_benchmarks_counts_round_trips(driver: psycopg.Connection):
    # So long that all of a pipeline is sent before anything comes back.
    milliseconds = 100

    def count(execute: Callable[[], object]) -> int:
        before = proxy.count(milliseconds)
        execute()
        return proxy.count(milliseconds) - before

    def in_a_pipeline() -> None:
        with connection.pipeline():
            one_after_the_other()

    def one_after_the_other() -> None:
        for _ in range(3):
            connection.execute("SELECT 1")

    with far.Proxy([milliseconds]) as proxy:
        entry = settings.DATABASES[far.alias(milliseconds)]
        address = {"host": entry["HOST"], "port": entry["PORT"], "sslmode": "disable"}
        dsn = make_conninfo(driver.info.dsn, password=driver.info.password or None, **address)
        with psycopg.connect(dsn, autocommit=True) as connection:
            assert count(one_after_the_other) == 3
            assert count(in_a_pipeline) == 1
    assert far.alias(milliseconds) not in settings.DATABASES


def test_each_seam_of_the_anatomy_exists():
    for stage, owner, name in anatomy.seams():
        assert stage in anatomy.STAGES
        assert callable(getattr(anatomy.original(owner, name), "__func__", getattr(owner, name)))


def test_a_seam_that_is_missing_is_named():
    class Renamed:
        pass

    with pytest.raises(LookupError, match=r"Renamed has no acquire of its own"):
        anatomy.original(Renamed, "acquire")


def _result(plan: Plan) -> Result:
    """Return the result of a run in which all loads had the same figures."""
    figures: dict[str, Any] = {
        **dict.fromkeys(("rate", "p50", "p99", "server", "grown", "backends"), 100.0),
        "errors": {},
        "threads": 1,
        "connections": 1,
    }
    record = {**Result.read(latest("http")).record, "rounds": plan.rounds}
    record["measurements"] = [
        {**session._asdict(), "endpoint": endpoint, "clients": clients, **figures}
        for session in plan.sessions()
        for clients, _ in plan.seconds
        for endpoint in session.endpoints(plan.endpoints)
    ]
    return Result(record)


@pytest.mark.parametrize(
    ("plan", "targets"),
    [(Plan(), [*HTTP_TARGETS, *HANDLER_TARGETS]), (HANDLERS, HANDLER_TARGETS)],
    ids=["whole", "handlers"],
)
def test_a_plan_measures_its_targets(plan, targets):
    result = _result(plan)
    assert [target.what for target in targets if target.measure(result) is None] == []


def test_a_plan_has_every_contender_in_some_application():
    sessions = [*Plan(rounds=1).sessions()]
    assert len({*sessions}) == len(sessions)
    assert {session.contender for session in sessions} == {*CONTENDERS}
    assert {session.application for session in sessions} == {*APPLICATIONS}


def test_the_list_of_rest_framework_is_behind_middleware():
    sessions = [*Plan(endpoints=(SERIALIZED,), rounds=1).sessions()]
    assert sessions
    assert {session.application for session in sessions} == {"startproject"}
    found = {session.endpoints() for session in sessions}
    assert found == {tuple(each for each in ENDPOINTS if each not in (*AS_JSON, NO_QUERY))}


def test_what_has_no_query_is_behind_nothing():
    sessions = [*Plan(endpoints=(NO_QUERY,), rounds=1).sessions()]
    assert sessions == [Session(0, "bare", names.TURBO)]


def test_the_page_of_a_run_with_middleware():
    text = "\n\n".join(section.section(_result(Plan()), "plots"))
    assert "## startproject's middleware, 100 clients: requests per second" in text
    assert "plots/http-startproject.svg" in text
    assert "not measured" not in text
    for target in HANDLER_TARGETS:
        assert f"| {target.what} |" in text


@pytest.mark.parametrize("setting", ["INSTALLED_APPS", "MIDDLEWARE"])
def test_the_middleware_is_that_of_startproject(setting):
    template = Path(django.__file__).parent / "conf/project_template/project_name/settings.py-tpl"
    written = re.search(rf"^{setting} = \[(.*?)\]", template.read_text(), re.MULTILINE | re.DOTALL)
    assert written
    ours = {"INSTALLED_APPS": configuration.APPS, "MIDDLEWARE": configuration.MIDDLEWARE}
    assert tuple(re.findall(r"'(.+?)'", written[1])) == ours[setting]


@pytest.fixture(scope="module")
def entries(driver: psycopg.Connection) -> Iterator[str]:
    """Make a database of the benchmark's tables, and return its DSN."""
    name = f"{driver.info.dbname}_http"
    driver.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    password = driver.info.password or None
    dsn = make_conninfo(driver.info.dsn, dbname=name, password=password)
    with psycopg.connect(dsn, autocommit=True) as connection:
        schema.create(connection)
    yield dsn
    driver.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.parametrize(
    "name", [names.DJANGO_SYNC, names.DJANGO_1000_THREADS, names.TURBO_SYNC_VIEWS]
)
def test_a_sync_contender_has_no_coroutine_function(name: str):
    made = contender(name, "", 1)
    # A list view of REST framework is no method.
    endpoints = {*ENDPOINTS} - {NO_QUERY, SERIALIZED}
    assert made.is_sync
    assert not [each for each in endpoints if iscoroutinefunction(getattr(made, each))]


@pytest.mark.parametrize("name", [names.TURBO_HANDLER, names.TURBO_SYNC_VIEWS])
def test_a_server_with_middleware_answers_as_psycopg_does(
    entries: str, name: str, monkeypatch: pytest.MonkeyPatch
):
    # As `make bench-http` has it.
    monkeypatch.setenv("PYTHONPATH", "examples")
    session = Session(0, "startproject", name)
    answers = check.expected(entries)
    with (
        psycopg.connect(entries, autocommit=True) as connection,
        server(session.contender, session.application, entries, 2) as started,
    ):
        check.check(started, session.endpoints(), answers, connection)
