"""Packages that keep Django's results see what is written, and what they keep is used."""

import re
import shutil
import subprocess
import time
from collections import Counter

import pytest

from tests.support.project import APPS, run_in_project
from tests.support.sent import Wire

READS = """
    from django.db import connection
    from tests.library.models import Account
    from turbo_orm import async_atomic, run_sync

    for name in ("one", "two", "three"):
        Account.objects.create(owner=name, balance=1)

    async def iterated(rows):
        return [each.owner async for each in rows]

    READS = [
        lambda: Account.objects.order_by("pk").alist(),
        lambda: Account.objects.order_by("pk").values_list("owner", "balance").alist(),
        lambda: iterated(Account.objects.filter(balance=1).order_by("pk")),
        lambda: Account.objects.aget(owner="one"),
        lambda: Account.objects.order_by("pk").afirst(),
        lambda: Account.objects.filter(balance=1).acount(),
        lambda: Account.objects.filter(balance=2).aexists(),
        lambda: Account.objects.prefetch_related("entries").order_by("owner").alist(),
    ]

    def shown(value):
        if isinstance(value, Account):
            return [value.owner, value.balance]
        return [shown(each) for each in value] if isinstance(value, list | tuple) else value

    async def read():
        return [shown(await each()) for each in READS]
"""

SCENARIO = """
    async def view():
        answers = [await read() for _ in range(4)]
        await Account.objects.filter(owner="two").aupdate(balance=2)
        answers += [await read() for _ in range(2)]
        await Account.objects.acreate(owner="four", balance=2)
        answers += [await read() for _ in range(2)]
        three = await Account.objects.aget(owner="three")
        three.balance = 7
        await three.asave()
        answers += [await read() for _ in range(2)]
        await three.adelete()
        answers += [await read() for _ in range(2)]
        try:
            async with async_atomic():
                await Account.objects.filter(owner="one").aupdate(balance=9)
                answers.append(await read())
                raise KeyError
        except KeyError:
            pass
        answers += [await read() for _ in range(2)]
        return answers

    answer(asyncio.run(view()))
"""


def run_with(code, before="", apps=(), turbo_orm=None, **settings):
    """Return what the scenario answers, and how often each statement was sent."""
    with Wire() as wire:
        answers = run_in_project(
            READS + code,
            before=before,
            DATABASES={"default": wire.database()},
            INSTALLED_APPS=apps or APPS,
            # What is prepared is sent by its name.
            TURBO_ORM={"PREPARE": False, **(turbo_orm or {})},
            **settings,
        )
    return answers, Counter(each for each in wire.sent if each.startswith("SELECT "))


@pytest.fixture(params=[False, True], ids=["AsyncManager", "PATCH_DJANGO"])
def turbo_orm(request):
    return {"PATCH_DJANGO": request.param}


def without_a_cache():
    from tests.support.tables import empty

    answers, selects = run_with(SCENARIO)
    empty("default")
    return answers, selects


def test_cachalot(turbo_orm, scratch):
    pytest.importorskip("cachalot")
    expected, sent = without_a_cache()
    answers, selects = run_with(
        SCENARIO,
        apps=["cachalot", *APPS],
        CACHALOT_DATABASES=["default"],
        turbo_orm=turbo_orm,
    )
    assert answers == expected
    assert selects.total() < 0.7 * sent.total()


@pytest.fixture
def redis(tmp_path):
    """Start a Redis, and return its URL."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    socket = tmp_path / "redis"
    server = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", tmp_path],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while not socket.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield f"unix://{socket}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
def test_cacheops(is_first, redis, turbo_orm, scratch):
    pytest.importorskip("cacheops")
    expected, sent = without_a_cache()
    answers, selects = run_with(
        # Its documentation says that update() invalidates nothing.
        re.sub(
            r"Account.objects.filter\((.*?)\).aupdate\((.*?)\)",
            r"run_sync(lambda: Account.objects.filter(\1).invalidated_update(\2))",
            SCENARIO,
        ),
        before="import warnings; warnings.simplefilter('ignore')",
        apps=["cacheops", *APPS] if is_first else [*APPS, "cacheops"],
        CACHEOPS_REDIS=redis,
        CACHEOPS={"library.account": {"ops": "all", "timeout": 60}},
        turbo_orm=turbo_orm,
    )
    assert answers == expected
    assert selects.total() < 0.7 * sent.total()
