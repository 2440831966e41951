"""django-async-backend warns of pools, which is wrong while turbo-orm is installed."""

import inspect

from django_async_backend.db.backends.postgresql import base

from tests.support.project import APPS, databases, run_in_project

CODE = """
    import warnings
    from django.db import connection
    from tests.library.models import Tag
    from turbo_orm import async_atomic
    from turbo_orm.patches import registry

    async def ask():
        async with async_atomic():
            return await Tag.objects.acount()

    def warned(ask):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ask()
        return [str(each.message)[:37].strip() for each in caught]

    def sync():
        connection.cursor().close()
        connection.close()
        connection.close_pool()

    answers = [warned(sync), warned(lambda: asyncio.run(ask()))]
    from turbo_orm.patches.pool_warning import WARNINGS

    answers.append(warned(lambda: WARNINGS.warn("of something else", stacklevel=2)))
    registry.uninstall()
    answers.append(sorted(set(warned(sync))))
    answer(answers)
"""
WARNING = "Using the asynchronous Django backend"


def test_pools_are_warned_of_without_turbo_orm_only(scratch):
    options = databases()["default"].get("OPTIONS", {})
    pooled = databases(OPTIONS={**options, "pool": {"min_size": 1, "max_size": 2}})
    # That for Django 5.2 does not warn.
    without = [WARNING] if "warn(" in inspect.getsource(base) else []
    assert run_in_project(CODE, DATABASES=pooled) == [[], [], ["of something else"], without]


def test_without_a_pool_there_is_no_warning(scratch):
    code = """
    import warnings
    from django.db import connection

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        connection.cursor().close()
        connection.close()
    answer(len(caught))
    """
    assert run_in_project(code, INSTALLED_APPS=APPS) == 0
