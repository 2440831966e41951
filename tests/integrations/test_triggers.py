"""django-pgtrigger and django-pghistory: what a task ignores or records is sent by that task."""

import pytest

from tests.support.project import APPS, run_in_project
from tests.support.sent import Wire

pytest.importorskip("pgtrigger")
pytest.importorskip("pghistory")

PROJECT = """
    import pghistory, pgtrigger
    from django.db import DatabaseError
    from tests.library.models import Account
    from turbo_orm import async_atomic, run_sync

    async def written(name, writes=3):
        for i in range(writes):
            await Account.objects.filter(owner=name).aupdate(balance=i)
            await asyncio.sleep(0)

    for name in ("one", "two", "three"):
        Account.objects.create(owner=name)
"""


def sent_by(code, pool=None):
    """Return the answer of a project, and the statements that it has sent."""
    options = {} if pool is None else {"pool": pool}
    with Wire() as wire:
        answer = run_in_project(
            PROJECT + code,
            DATABASES={"default": wire.database(**options)},
            ASYNC_BACKEND_DISABLE_POOL_WARNING=True,
            INSTALLED_APPS=[*APPS, "pgtrigger", "pghistory"],
            # What is prepared is sent by its name.
            TURBO_ORM={"PREPARE": False},
        )
    return answer, wire.sent


def updates(sent, name):
    return [each for each in sent if "UPDATE" in each and f"'{name}'" in each]


@pytest.fixture(params=[None, {"min_size": 1, "max_size": 4}], ids=["plain", "pool"])
def pool(request):
    return request.param


def test_a_context_is_sent_with_what_its_task_writes(pool, scratch):
    code = """
    async def recorded(name):
        async with pghistory.context(name=name):
            await written(name)

    async def view():
        await written("one", 4)
        await asyncio.gather(recorded("one"), recorded("two"), written("three", 5))
        await written("two", 2)

    asyncio.run(view())
    answer(None)
    """
    _, sent = sent_by(code, pool)
    for name, plain in (("one", 4), ("two", 2), ("three", 5)):
        found = ["pghistory.context_metadata" in each for each in updates(sent, name)]
        assert found.count(False) == plain
        assert found.count(True) == (0 if name == "three" else 3)
    for name in ("one", "two"):
        recorded = [each for each in updates(sent, name) if "pghistory" in each]
        assert all(f'{{"name": "{name}"}}' in each for each in recorded)


@pytest.mark.parametrize("enter", ["async with", "with"])
def test_contexts_nest_and_reach_tasks_and_code_on_the_bridge(enter, pool, scratch):
    code = f"""
    def in_sync_code():
        with pghistory.context(deep=True):
            Account.objects.filter(owner="three").update(balance=7)

    async def inner():
        {enter} pghistory.context(inner=1):
            await written("two", 1)

    async def view():
        {enter} pghistory.context(outer=1):
            await written("one", 1)
            await asyncio.create_task(inner())
            await run_sync(in_sync_code)
        await written("one", 1)

    asyncio.run(view())
    answer(None)
    """
    _, sent = sent_by(code, pool)
    (first, last), (second,), (third,) = (updates(sent, name) for name in ("one", "two", "three"))
    assert '{"outer": 1}' in first
    assert '{"outer": 1, "inner": 1}' in second
    assert '{"outer": 1, "inner": 1, "deep": true}' in third
    assert "pghistory" not in last


READS = """
    @pgtrigger.register(pgtrigger.Protect(name="protect", operation=pgtrigger.Delete))
    class Registered(Account):
        class Meta:
            proxy = True
            app_label = "library"
    URI = "library.Registered:protect"

    async def iterated(rows):
        return [each.owner async for each in rows]

    READS = [
        lambda: Account.objects.order_by("pk").alist(),
        lambda: Account.objects.values_list("owner").alist(),
        lambda: iterated(Account.objects.order_by("pk")),
        lambda: Account.objects.ain_bulk(),
        lambda: Account.objects.aget(owner="one"),
        lambda: Account.objects.acount(),
        lambda: Account.objects.aexists(),
        lambda: Account.objects.prefetch_related("entries").alist(),
        lambda: iterated(Account.objects.raw("SELECT * FROM library_account")),
    ]

    async def read():
        return [str(await each()) for each in READS]
"""


def test_reading_goes_on_while_triggers_are_ignored(pool, scratch):
    code = """
    async def view():
        expected = [await read() for _ in range(3)][0]
        with pgtrigger.ignore(URI):
            found = [await read() for _ in range(2)]
            cursor = await iterated(Account.objects.order_by("pk").aiterator())
        after = await read()
        return found == [expected, expected], cursor, after == expected

    answer(asyncio.run(view()))
    """
    answer, sent = sent_by(READS + code, pool)
    assert answer == [True, ["one", "two", "three"], True]
    ignoring = [each for each in sent if "pgtrigger.ignore" in each]
    # Ten for each round: what is prefetched is another statement.
    assert len(ignoring) == 20


def test_a_protected_row_is_deleted_only_where_its_trigger_is_ignored(pool, scratch):
    code = """
    async def deleted(name):
        try:
            async with async_atomic():
                return (await Account.objects.filter(owner=name).adelete())[0]
        except DatabaseError as exc:
            return "Cannot delete" in str(exc)

    async def ignoring(name):
        with pgtrigger.ignore(URI):
            await asyncio.sleep(0.05)
            return await deleted(name)

    async def in_a_block(name):
        async with async_atomic():
            with pgtrigger.ignore(URI):
                first = await deleted(name)
            return first, await deleted("three")

    async def view():
        before = [await deleted("one") for _ in range(3)]
        one, two = await asyncio.gather(ignoring("one"), deleted("two"))
        return [*before, one, two, await in_a_block("two")]

    pgtrigger.install(URI)
    try:
        answer(asyncio.run(view()))
    finally:
        pgtrigger.uninstall(URI)
    """
    answer, _ = sent_by(READS + code, pool)
    assert answer == [True, True, True, 1, True, [1, True]]
