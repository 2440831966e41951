"""The memory that a process of its own has taken for a list of narrow instances.

What has been freed and not returned to the system is part of it: the driver's copy of the result,
above all. In a process that has made other lists before, there would be room left by those.
"""

import gc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import psutil


def bytes_per_row(manager: str, rows: int) -> float:
    """Return the bytes for each row of a list that one of Django's ORMs has made."""
    from django.conf import settings

    options = {
        "DATABASES": settings.DATABASES,
        "DEFAULT_AUTO_FIELD": settings.DEFAULT_AUTO_FIELD,
        "INSTALLED_APPS": ["turbo_orm", "benches.tables"],
        "USE_TZ": settings.USE_TZ,
    }
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_bytes_per_row, options, manager, rows).result()


def _bytes_per_row(options: dict[str, Any], manager: str, rows: int) -> float:
    import django
    from django.conf import settings

    settings.configure(**options)
    django.setup()
    from benches.arena import Arena
    from benches.case import Case
    from benches.contenders.orm import DJANGO_SYNC, TURBO
    from benches.shape import INSTANCES
    from benches.tables.models import Narrow

    (contender,) = (each for each in (DJANGO_SYNC, TURBO) if each.manager == manager)
    arena = Arena()
    # Connects, and imports what is imported late.
    few = Case(Narrow, INSTANCES, 1, contender)
    arena.answer(few, few.query())

    case = Case(Narrow, INSTANCES, rows, contender)
    gc.collect()
    before = psutil.Process().memory_info().rss
    instances = arena.answer(case, case.query())
    gc.collect()
    after = psutil.Process().memory_info().rss
    assert len(instances) == rows
    arena.close()
    return (after - before) / rows
