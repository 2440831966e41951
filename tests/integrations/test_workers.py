"""Workers of task queues: an event loop for each job or one for all, and its sessions."""

import asyncio
import signal
import subprocess
import sys

import django
import pytest

from tests.library.models import Account
from tests.support.engines import ENGINE, project
from tests.support.project import ROOT, databases, environment
from tests.support.waiting import wait_until

JOBS = """
    import time

    most = []

    async def work(number):
        async def read():
            return await Account.objects.filter(owner="Ada").acount()

        counts = await asyncio.gather(*[read() for _ in range(20)])
        async with async_atomic():
            await Account.objects.acreate(owner=f"job {number}")
        most.append(await run_sync(sessions))
        return sum(counts)

    def others():
        "Return how many sessions there are but for the one that asks."
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'here' AND pid <> pg_backend_pid()"
            )
            return cursor.fetchone()[0]

    def left():
        "Return how many are left, once the server has noticed who is gone."
        deadline = time.monotonic() + 5
        while (number := others()) and time.monotonic() < deadline:
            time.sleep(0.01)
        return number

    Account.objects.create(owner="Ada")
    connection.close()
"""

CELERY = """
    from celery import Celery
    from celery.contrib.testing.worker import start_worker

    app = Celery("site", broker="memory://", backend="cache+memory://")

    @app.task(name="job")
    def job(number):
        return asyncio.run(work(number))

    with start_worker(app, pool="solo", perform_ping_check=False, loglevel="ERROR"):
        results = [job.delay(number) for number in range(12)]
        found = [each.get(timeout=30) for each in results]
    app.close()
    answer([found, max(most), Account.objects.count(), left()])
"""

DJANGO_TASKS = """
    from django.tasks import task

    @task
    async def job(number):
        return await work(number)

    def in_sync_code():
        return [job.enqueue(number).return_value for number in range(6)]

    async def in_async_code():
        return [(await job.aenqueue(number)).return_value for number in range(6, 12)]

    found = in_sync_code() + asyncio.run(in_async_code())
    answer([found, max(most), Account.objects.count(), left()])
"""

# Of default middleware, some limits the time of a job.
DRAMATIQ = """
    import logging
    import dramatiq
    from dramatiq.brokers.stub import StubBroker
    from dramatiq.middleware import AsyncIO

    # It logs a job that fails, and each retry of it.
    logging.getLogger("dramatiq").setLevel(logging.CRITICAL)
    broker = StubBroker()
    broker.add_middleware(AsyncIO())
    dramatiq.set_broker(broker)
    found, loops, cancelled = [], set(), []

    @dramatiq.actor(max_retries=0)
    async def job(number):
        found.append(await work(number))
        loops.add(id(asyncio.get_running_loop()))

    @dramatiq.actor(max_retries=0, time_limit=100)
    async def long_job():
        async with async_atomic():
            await Account.objects.acreate(owner="long job")
            try:
                await run_sync(sleep)
            except asyncio.CancelledError:
                cancelled.append(time.monotonic() - began)
                raise

    def sleep():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(30)")

    def executed():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'here' AND state <> 'idle' AND pid <> pg_backend_pid()"
            )
            return cursor.fetchone()[0]

    broker.emit_after("process_boot")
    worker = dramatiq.Worker(broker, worker_threads=4)
    worker.start()
    for number in range(12):
        job.send(number)
    broker.join(job.queue_name, timeout=30000, fail_fast=True)
    kept = others()
    began = time.monotonic()
    long_job.send()
    broker.join(long_job.queue_name, timeout=30000, fail_fast=False)
    worker.join()
    executing = executed()
    worker.stop()
    answer([
        found, max(most), Account.objects.count(), left(),
        len(loops), kept, executing, len(cancelled) == 1 and cancelled[0] < 20,
    ])
"""


SMALL = {"pool": {"min_size": 0, "max_size": 5}}


@pytest.mark.parametrize("pool", [SMALL, {}])
def test_celery(pool, scratch):
    pytest.importorskip("celery")
    found, most, rows, left = project(JOBS + CELERY, OPTIONS=pool)
    assert found == [20] * 12
    # Django's pool for sync code has one.
    assert most <= (5 + 1 if pool else 10)
    assert (rows, left) == (13, 0)


@pytest.mark.skipif(django.VERSION < (6,), reason="django.tasks is of Django 6.0")
def test_django_tasks(scratch):
    found, most, rows, left = project(JOBS + DJANGO_TASKS, OPTIONS=SMALL)
    assert found == [20] * 12
    assert most <= 5 + 1
    assert (rows, left) == (13, 0)


@pytest.mark.parametrize("pool", [SMALL, {}])
def test_dramatiq(pool, scratch):
    """All threads of a worker have one event loop. A job that takes too long is cancelled."""
    pytest.importorskip("dramatiq")
    found, most, rows, left, loops, kept, executing, is_cancelled = project(
        JOBS + DRAMATIQ, OPTIONS=pool
    )
    size = 5 if pool else 10
    assert found == [20] * 12
    assert most <= size + 1
    assert (rows, left) == (13, 0)
    assert loops == 1
    # Between jobs they are kept.
    assert 0 < kept <= size
    assert is_cancelled
    assert executing == 0


@pytest.fixture
def worker(tmp_path, scratch):
    """Have taskiq's own worker, with one process, and the address of its queue."""
    pytest.importorskip("taskiq")
    pytest.importorskip("zmq")
    address = f"ipc://{tmp_path}/queue"
    options = {**SMALL, "application_name": "a worker"}
    command = [sys.executable, "-m", "taskiq", "worker", "tests.integrations.queued:broker"]
    with open(tmp_path / "log", "w+") as log:
        process = subprocess.Popen(
            [*command, "--workers", "1", "--max-async-tasks", "100"],
            env=environment(DATABASES=databases(ENGINE=ENGINE, OPTIONS=options))
            | {"TASKIQ_ADDRESS": address},
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
        try:
            yield process, address
        finally:
            process.kill()
            process.wait()


def test_taskiq(worker, driver, tmp_path):
    """All jobs of a process are tasks of one event loop."""
    from taskiq import ZeroMQBroker
    from taskiq.kicker import AsyncKicker

    process, address = worker

    def sessions():
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'a worker'"
        return driver.execute(query).fetchone()[0]

    async def kick():
        broker = ZeroMQBroker(address, address)
        await broker.startup()
        job = AsyncKicker("job", broker, {})
        # What is sent before the worker listens is lost.
        while not await Account.objects.acount():
            assert process.poll() is None, (tmp_path / "log").read_text()
            await job.kiq(0)
            await asyncio.sleep(0.1)
        for number in range(1, 31):
            await job.kiq(number)
        most = [sessions()]
        async with asyncio.timeout(20):
            while await Account.objects.acount() < 31:
                most.append(sessions())
                await asyncio.sleep(0.01)
        await broker.shutdown()
        broker.context.destroy()
        return max(most), await Account.objects.alist()

    most, rows = asyncio.run(kick())
    assert {each.owner for each in rows} == {f"job {number}" for number in range(31)}
    assert {each.balance for each in rows} == {1}
    assert 0 < most <= 5
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    wait_until(lambda: sessions() == 0, seconds=5)
    log = (tmp_path / "log").read_text()
    assert not [line for line in log.splitlines() if "Error" in line or "destroyed" in line], log
