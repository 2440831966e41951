"""Workers of task queues: an event loop for each job, whose sessions end with it."""

import django
import pytest

from tests.support.engines import project

JOBS = """
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
    answer([found, max(most), Account.objects.count(), others()])
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
    answer([found, max(most), Account.objects.count(), others()])
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
