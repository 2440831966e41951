"""A task of taskiq's, for its worker: ``taskiq worker tests.integrations.queued:broker``."""

import asyncio
import os

import django

django.setup()

from taskiq import ZeroMQBroker  # noqa: E402

from tests.library.models import Account  # noqa: E402
from turbo_orm import async_atomic  # noqa: E402

broker = ZeroMQBroker(os.environ["TASKIQ_ADDRESS"], os.environ["TASKIQ_ADDRESS"])
loops = set()


@broker.task("job")
async def job(number):
    """Write a row that says of how many event loops one has executed jobs."""
    loops.add(asyncio.get_running_loop())
    await asyncio.gather(*[Account.objects.acount() for _ in range(20)])
    async with async_atomic():
        await Account.objects.aget_or_create(owner=f"job {number}", balance=len(loops))
