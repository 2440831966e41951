"""The memory that a process of its own has taken for a list of narrow instances.

Memory that was freed and not returned to the system counts: the driver's copy of the result, above
all. In a process that has made other lists before, their freed memory would be reused.
"""

import gc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import psutil


def bytes_per_row(contender: str, rows: int) -> float:
    """Return the bytes for each row of a list that Django sync or turbo-orm has made."""
    from django.conf import settings

    options = {
        "DATABASES": settings.DATABASES,
        "DEFAULT_AUTO_FIELD": settings.DEFAULT_AUTO_FIELD,
        "INSTALLED_APPS": ["turbo_orm", "benches.tables"],
        "TURBO_ORM": settings.TURBO_ORM,
        "USE_TZ": settings.USE_TZ,
    }
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_bytes_per_row, options, contender, rows).result()


def _bytes_per_row(options: dict[str, Any], name: str, rows: int) -> float:
    import django
    from django.conf import settings

    settings.configure(**options)
    django.setup()
    from benches.harness.harness import Harness
    from benches.lists.case import List
    from benches.lists.contenders.orm import DJANGO_SYNC, TURBO
    from benches.lists.shape import INSTANCES
    from benches.tables.models import Narrow

    (contender,) = (each for each in (DJANGO_SYNC, TURBO) if each.name == name)
    harness = Harness()
    # Connects, and imports what is imported late.
    harness.run(contender, List(Narrow, INSTANCES, 1, contender).query())

    query = List(Narrow, INSTANCES, rows, contender).query()
    gc.collect()
    before = psutil.Process().memory_info().rss
    instances = harness.run(contender, query)
    gc.collect()
    after = psutil.Process().memory_info().rss
    assert len(instances) == rows
    harness.close()
    return (after - before) / rows
