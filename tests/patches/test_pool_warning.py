"""django-async-backend warns of pools, which is wrong while turbo-orm is installed."""

from tests.support.project import APPS, databases, run_in_project

CODE = """
    import warnings
    from django.db import connection
    from django_async_backend.db.backends.postgresql import base
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
    answers.append(warned(lambda: base.warnings.warn("of something else", stacklevel=2)))
    registry.uninstall()
    answers.append(sorted(set(warned(sync))))
    answer(answers)
"""
WARNING = "Using the asynchronous Django backend"


def test_pools_are_warned_of_without_turbo_orm_only(scratch):
    options = databases()["default"].get("OPTIONS", {})
    pooled = databases(OPTIONS={**options, "pool": {"min_size": 1, "max_size": 2}})
    assert run_in_project(CODE, DATABASES=pooled) == [[], [], ["of something else"], [WARNING]]


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
