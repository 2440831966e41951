"""Engines of a project, or of django-tenants, that set the schema of each cursor."""

import pytest

from tests.support.project import databases, run_in_project
from tests.topology.tenants import schemas

ENGINE = "tests.topology.tenant_engine"

CODE = """
    from django.db import connection
    from django_tenants.utils import schema_context
    from tests.library.models import Account
    from tests.topology.tenants import TENANTS
    from turbo_orm import async_atomic, async_pipeline, run_sync


    async def owners():
        return [each.owner async for each in Account.objects.all()]


    async def visit(name):
        connection.set_schema(name)
        for _ in range(8):
            assert await owners() == [name]
            assert [each.owner for each in await Account.objects.alist()] == [name]
            assert (await Account.objects.aget(owner=name)).owner == name
            async with async_atomic():
                assert await Account.objects.exclude(owner=name).acount() == 0
                assert (await Account.objects.aget()).owner == name
                async with async_pipeline():
                    assert await asyncio.gather(owners(), owners()) == [[name]] * 2
            assert await asyncio.gather(owners(), owners()) == [[name]] * 2
            assert await asyncio.create_task(owners()) == [name]
            async for each in Account.objects.aiterator(chunk_size=1):
                assert each.owner == name
        await Account.objects.aupdate(balance=7)

        def other():
            with schema_context("public"):
                return Account.objects.get().owner

        assert await run_sync(other) == "public"
        assert await owners() == [name]


    async def main():
        assert await owners() == ["public"]
        async with asyncio.TaskGroup() as group:
            for name in TENANTS * 4:
                group.create_task(visit(name))
        assert await owners() == ["public"]
        return [each.balance async for each in Account.objects.all()]

    found = asyncio.run(main())
    connection.set_schema("bo")
    answer([*found, *[each.balance for each in Account.objects.all()]])
"""


@pytest.mark.parametrize(
    ("pool", "multiplex"), [({"min_size": 1, "max_size": 9}, 2), (False, 0)], ids=["pool", "none"]
)
def test_django_tenants(pool, multiplex, scratch):
    pytest.importorskip("django_tenants")
    options = {**databases()["default"].get("OPTIONS", {}), "pool": pool}
    with schemas():
        assert run_in_project(
            CODE,
            DATABASES=databases(ENGINE=ENGINE, OPTIONS=options),
            ORIGINAL_BACKEND="turbo_orm.backends.postgresql",
            TURBO_ORM={"MULTIPLEX": multiplex},
            MIGRATION_MODULES={"contenttypes": None},
        ) == [0, 7]
